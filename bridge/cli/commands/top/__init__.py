"""`top`: agents and tickets, live, in a terminal.

    GET /overview ─┐                          keys ─► Ui (ui.py) ─┐
    GET /events ───┴─► feed.py ─► Model (model.py) ───────────────┴─► Frame ─► curses
                                            (view.py, tables.py, detail.py)   (screen.py)

    command.py  flags; without a terminal, print one table and exit
    app.py      owns the tasks: feed, paints, keys, resizes
    columns.py  the table of agents: the columns that fit a width, and how each sorts
    line.py     lines of the screen: spans of text, each in a style
    chart.py    small bars

Rule 1: the picture is a pure function of Model, Ui, size and time. Only screen.py uses curses.
Rule 2: each text was made visible and was cut by cells before it becomes a Span.
Rule 3: nothing is painted while nothing changes. Changes of the model are painted at most
four times a second, and keys at once.
"""
