"""Runs tmux: commands, panes, paste buffers.

    client.py         runs tmux: query, run, run_guarded; timeout, locale
    batching.py       many looks in one process
    identity.py       which pane does a name mean, and may it replace the lost one? Pure
    pane.py           lists panes, looks at one
    pane_list.py      the list of all panes of a server, shared by all agents
    paste_buffers.py  our paste buffers, and their removal after a crash

Nothing here judges what a pane shows: readiness/ does.
"""
