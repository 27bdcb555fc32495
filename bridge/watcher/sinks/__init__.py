"""Where a ticket goes.

    base.py      the protocol: what the delivery needs from a sink
    pane.py      typed into a tmux pane, by bridge.tmux
    stdout.py    one JSON line on standard output
    command.py   JSON on the stdin of a command, done when it exits 0

No sink imports another one.
"""
