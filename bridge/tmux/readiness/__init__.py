"""May this pane be typed into now, and if not, why?

Pure, values in and values out:

    snapshot.py        what one look at a pane returned
    program_names.py   tables of program names: shells, pagers, agents ...
    program.py         which program is in the pane, and what may be typed into it?
    profiles.py        the table of agents' screens and of prompts
    cells.py           a screen as cells: columns of characters, and faint text
    composer.py        where is an agent's composer, and what is in it?
    screen.py          which rows beside the composer matter
    prompts.py         is the line of a shell or a REPL empty?
    objections.py      what may be against typing: one function for each objection
    verdict.py         the table of checks, and the kinds of program that each one concerns
    screen_history.py  what is learned from consecutive looks

With I/O:

    terminal.py         termios and /proc: which process reads this terminal, and how
    ps.py               the same from ps(1), where there is no /proc
    claude_registry.py  the status that Claude Code records for its session
    tty_events.py       has something been written to this terminal? (inotify)
    recheck.py          when to look again at a pane that is not ready
    typed_ahead.py      shows what a person typed ahead into a shell without a line editor
    observer.py         observes one pane: finds, looks, judges, remembers
"""
