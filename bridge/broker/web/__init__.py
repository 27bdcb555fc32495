"""The page at `/`: plain HTML, CSS and JavaScript modules, no build step, nothing from elsewhere.

    page.html    the rooms of the page, empty           theme.css, layout.css, parts.css, story.css
    main.js      wires everything                       theme.js      dark or light, before the first paint
    api.js       asks the broker                        live.js       the event stream: lost, waiting, back again
    pulse.js     the only poll                          connection.js how broker and page stand, for the eye and the ear
    state.js     what is known, without the document    painter.js    who may draw, and how often
    dom.js       the only place that makes elements     text.js       what hides in a text becomes visible
    format.js    numbers with units                     ticker.js     relative times, once a second
    figures.js   tiles and hops                         charts.js     throughput and latency; chart.js draws one
    agents.js    the table; agent.js, one row           tickets.js    live list or search; ticket.js, one row
    story.js     one ticket's story, in a drawer        stages.js     its stages and their evidence
    search.js    asks page by page, within bounds       send.js       the boxes to send and to reply
    dialogs.js   boxes, toasts, what is said aloud      keys.js       the shortcuts
    route.js     #ticket/ID, #agent/ID, #search/TEXT

    broker ─/overview, /tickets─► pulse ─► state ─► painter ─► figures, charts, agents, tickets
           ─/events─────────────► live ────┘

Rule 1: everything shown is somebody's text: it goes in by textContent, through text.js, never as HTML.
Rule 2: what can grow is bounded: rows kept, rows drawn, drawings a second, pages of a search.
Rule 3: a change marks what is stale; the painter draws it in an animation frame, so never in a hidden tab.
"""
