"""The command line: the only place that prints, exits and configures logging.

    main.py     the table of commands, errors to exit statuses
    flags.py    flags from settings classes
    text.py     what is printed: safe in a terminal, coloured only on one
    asking.py   what the commands that ask a broker share
    one file per command or family: broker, watch, send, reply, show, tickets (pending, tail, search), agents (agents,
    register, unregister), drop, purge, ack, status, explain, doctor, bench (load.py: `bench load`; progress.py: how far it is), demo, pack
    backup.py   a copy of the store, as a new file
    why.py      a ticket's story as `why` and `top` tell it; story.py says where it stands
    top/        agents and tickets live, in a terminal
    moment.py   times on the local clock; cells.py: text in a terminal's cells
    interleaved.py  tail's two streams in one order
    patient.py  log lines that wait for nobody
    panes.py    what the commands that look at a pane share
    width.py    long lines folded for a person's terminal, never for a program

A command module has `configure(parser)` and `run(args) -> int`.
"""
