"""Types a ticket into a tmux pane: once, whole, and only when the pane is ready.

    pure, values in and values out:
    state.py      what one look at a pane saw
    names.py      what the names of programs say: shells, pagers, agents ...
    program.py    what is the program there, and what may be typed into it?
    profiles.py   the table of agents' screens and of prompts
    cells.py      a screen as cells: columns of characters, and what is faint
    composer.py   where is an agent's composer, and what stands in it?
    screen.py     which rows beside it matter
    prompts.py    is the line of a shell or a REPL empty?
    prompt.py     may it be typed into now, and if not, why?
    memory.py     what consecutive looks teach
    sanitise.py   no byte of a body may act as a key
    forms.py      the very text that is typed
    identity.py   which pane does a name mean, and may this one be taken for the one that was lost?
    draft.py      does the pasted text stand in the composer: whole, touched, gone?
    typed_line.py does a shell's line hold exactly the command that was pasted?
    marks.py      what the pane remembers of past tickets
    guard.py      "if nothing changed: paste, mark, Enter" as one tmux command
    evidence.py   what an acknowledgement carries
    control_wire  what tmux's control mode says, as values; one command as one line
    anchor.py     where may a control client attach, so that nobody notices?

    touching the world:
    terminal.py   termios and /proc: who reads this terminal, and how
    ps.py         the same from ps(1), where there is no /proc
    claude_registry.py  what Claude Code says of its own session
    command.py    runs tmux: argv, deadline, locale
    gathering.py  many looks in one process
    control.py    the same through one control client, where that is allowed and works
    control_connection.py   that client: questions and answers
    activity.py   has something been written to this terminal? (the kernel's word)
    waiting.py    when to look again at a pane that is not ready
    buffers.py    our paste buffers, and who sweeps up after a crash
    pane.py       lists panes, looks at one
    tenancy.py    one pane, one agent: whose is it?
    census.py     all panes of a server, counted once for everybody
    lookout.py    keeps an eye on one pane: finds, looks, judges, remembers
    submitter.py  from a text in the input to a ticket that is submitted
    injector.py   puts it all together: one ticket into one pane, once

A pane has no acknowledgement, so everything here is about evidence: we type only
what the screen and the terminal's flags permit, tmux itself checks that nothing
has moved in between, and the pane carries a mark of what was typed, which
outlives a crash of ours.
"""
