"""Types one ticket into one pane, and checks what became of it.

Pure, values in and values out:

    sanitise.py     no byte of a body may act as a key
    ticket_text.py  the exact text that is typed
    pasted_text.py  is the pasted text in the composer: complete, changed, gone?
    draft_state.py  what became of the text, and what follows: one state, one table
    typed_line.py   does a shell's line hold exactly the pasted command?
    pane_marks.py   what the pane stores about past tickets
    conditional.py  "if nothing changed: paste, mark, Enter" as one tmux command
    evidence.py     what an acknowledgement carries

With I/O:

    tenancy.py   one pane, one agent: which watcher has this pane?
    submit.py    from a text in the input to a submitted ticket
    resume.py    a ticket that was typed before: continue from the pane's marks
    injector.py  all together: one ticket into one pane, once
"""
