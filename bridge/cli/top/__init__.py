"""`top`: agents and tickets, live, in a terminal.

    GET /overview ─┐                               keys ─► Ui (ui.py) ─┐
    GET /events ───┴─► feed.py ─► Model (model.py) ────────────────────┴─► render (view.py, detail.py) ─► Line ─► curses (screen.py)

    command.py  flags; without a terminal one table, and the end
    app.py      who owns the tasks: feed, paints, keys, resizes
    columns.py  the table of agents: which columns fit a width, how each sorts
    chart.py    small bars

Rule 1: what is shown is a pure function of Model, Ui, size and time; only screen.py knows curses.
Rule 2: every text was made visible and was cut by cells before it becomes a Span.
Rule 3: nothing is painted while nothing changes; news at most four times a second, keys at once.
"""
