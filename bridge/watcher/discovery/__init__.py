"""Which agents a supervisor serves, and in which panes.

    merge.py        agents from words and files, merged; pure
    sources.py      where agents are listed: file, registry, tmux sessions
    assignments.py  merges the sources again as they change

A roster is a mapping from each agent to its assignment: session, pane and form.
"""
