"""The command line: the only place that prints, exits and configures logging.

A command module has `configure(parser)` and `run(args) -> int`. Most commands have the
module of their own name; these have more:

    bench       load.py: `bench load`; progress.py: the progress line
    explain     pane_report.py: one look at a pane, as text and as JSON
    why, top    why.py: a ticket's history and state in words; story.py: its state
    tail        interleaved.py: its two streams in one order
    top         top/: agents and tickets live, in a terminal

The other modules are shared:

    main.py     the table of commands; errors to exit statuses
    flags.py    flags from settings classes
    asking.py   for the commands that ask a broker
    panes.py    for the commands that look at a pane
    naming.py   how a command that we print names the broker and an agent
    streams.py  stdin, stdout and stderr, also when they are closed
    text.py     output: safe in a terminal, and coloured only in one
    cells.py    text measured in the cells of a terminal
    width.py    long lines folded for a terminal, never for a program
    moment.py   times on the local clock
    logs.py     the format of log lines; patient.py: log lines that never block
"""
