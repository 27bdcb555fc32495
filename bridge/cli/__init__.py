"""The command line: the only place that prints, exits and configures logging.

    main.py                the table of commands; errors to exit statuses
    commands/              one module for each command
    flags.py               flags from settings classes
    broker_options.py      for the commands that ask a broker
    tmux_options.py        for the commands that look at a pane
    sinks.py               where received tickets go, for `watch` and `supervise`
    self_command_words.py  how a command that we print names the broker and an agent
    output.py              stdin, stdout and stderr, also when they are closed
    safe_text.py           output: safe in a terminal, and coloured only in one
    cells.py               text measured in the cells of a terminal
    fit_text.py            long lines folded for a terminal, never for a program
    local_time.py          times on the local clock
    progress.py            the progress line of the benchmarks
    pane_report.py         one look at a pane, as text and as JSON
    ticket_status.py       where a ticket stands now, for `why` and `top`
    stream_merge.py        two streams in one order, for `tail`
    logs.py                the format of log lines
    log_queue.py           log lines that never block

A command ends with the exit status that main.py derives from its error.
"""
