"""Types a ticket into a tmux pane: once, completely, and only when the pane is ready.

    pure, values in and values out:
    state.py       what one look at a pane returned
    names.py       tables of program names: shells, pagers, agents ...
    program.py     which program is in the pane, and what may be typed into it?
    profiles.py    the table of agents' screens and of prompts
    cells.py       a screen as cells: columns of characters, and faint text
    composer.py    where is an agent's composer, and what is in it?
    screen.py      which rows beside the composer matter
    prompts.py     is the line of a shell or a REPL empty?
    prompt.py      may the pane be typed into now, and if not, why?
    memory.py      what is learned from consecutive looks
    sanitise.py    no byte of a body may act as a key
    forms.py       the exact text that is typed
    identity.py    which pane does a name mean, and may it replace the lost one?
    draft.py       is the pasted text in the composer: complete, changed, gone?
    typed_line.py  does a shell's line hold exactly the pasted command?
    marks.py       what the pane stores about past tickets
    guard.py       "if nothing changed: paste, mark, Enter" as one tmux command
    evidence.py    what an acknowledgement carries
    control_wire.py  parser of tmux's control mode; one command as one line
    anchor.py      to which session may a control client attach unnoticed?
    gate.py        a control client that connects early and attaches late

    with I/O:
    terminal.py    termios and /proc: which process reads this terminal, and how
    ps.py          the same from ps(1), where there is no /proc
    claude_registry.py  the status that Claude Code records for its session
    command.py     runs tmux: argument list, timeout, locale
    gathering.py   many looks in one process
    control.py     the same through one control client, where that is allowed and works
    control_connection.py  that client: requests and answers
    activity.py    has something been written to this terminal? (inotify)
    waiting.py     when to look again at a pane that is not ready
    buffers.py     our paste buffers, and their removal after a crash
    pane.py        lists panes, looks at one
    tenancy.py     one pane, one agent: which watcher has this pane?
    census.py      the list of all panes of a server, shared by all agents
    lookout.py     observes one pane: finds, looks, judges, remembers
    typed_ahead.py shows what a person typed ahead into a shell without a line editor
    submitter.py   from a text in the input to a submitted ticket
    resume.py      a ticket that was typed before: continue from the pane's marks
    injector.py    all together: one ticket into one pane, once

A pane sends no acknowledgement, so all of this is about evidence:

- We type only what the screen and the terminal's flags permit.
- tmux itself checks that nothing has changed in between.
- The pane stores a mark of what was typed. The mark survives a crash of the watcher.
"""
