"""The page at `/`: plain HTML, CSS and JavaScript modules, no build step, no foreign resources.

    page.html    the empty parts of the page          theme.css, layout.css, parts.css, story.css
    main.js      connects all modules                 theme.js      dark or light, before the paint
    api.js       requests to the broker               live.js       the event stream, reconnects
    pulse.js     the only poll                        connection.js state of broker and page
    state.js     the data, without the document       painter.js    what is drawn, and how often
    dom.js       the only maker of elements           text.js       makes hidden characters visible
    format.js    numbers with units                   ticker.js     relative times, once a second
    figures.js   tiles and hops                       charts.js     throughput, latency (chart.js)
    agents.js    the table; agent.js, one row         tickets.js    list or search (ticket.js)
    story.js     one ticket's story, in a drawer      stages.js     its stages and their evidence
    search.js    search, page by page, bounded        send.js       the boxes to send and to reply
    dialogs.js   boxes, toasts, screen reader texts   keys.js       the shortcuts
    route.js     #ticket/ID, #agent/ID, #search/TEXT

    broker ─/overview, /tickets─► pulse ─► state ─► painter ─► figures, charts, agents, tickets
           ─/events─────────────► live ────┘

Rule 1: all text comes from a peer. It is set as textContent, through text.js, never as HTML.
Rule 2: all that can grow has a bound: rows kept, rows drawn, drawings a second, search pages.
Rule 3: a change marks parts as stale. The painter draws them in an animation frame, so never in a
hidden tab.
"""
