"""Types a ticket into a tmux pane: once, completely, and only when the pane is ready.

    server/        runs tmux: commands, panes, paste buffers
    readiness/     may this pane be typed into now, and if not, why?
    injection/     types one ticket into one pane, and checks what became of it
    control_mode/  a persistent control client instead of one process per command; optional

A pane sends no acknowledgement, so all of this is about evidence:

- We type only what the screen and the terminal's flags permit.
- tmux itself checks that nothing has changed in between.
- The pane stores a mark of what was typed. The mark survives a crash of the watcher.
"""
