"""The command line: the only place that prints, exits and configures logging.

    main.py     the table of commands, errors to exit statuses
    flags.py    flags from settings classes
    text.py     what is printed: safe in a terminal, coloured only on one
    asking.py   what the commands that ask a broker share
    one file per command or family: broker, watch, send, reply, show, tickets (pending, tail), agents (agents, register),
    ack, status, explain, doctor, bench (load.py: `bench load`; progress.py: how far it is), demo, pack
    panes.py    what the commands that look at a pane share
    width.py    long lines folded for a person's terminal, never for a program

A command module has `configure(parser)` and `run(args) -> int`.
"""
