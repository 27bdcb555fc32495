"""Types a ticket into a tmux pane: once, whole, and only when the pane is ready.

Placeholder docstring: the tmux helper writes the map of the room here.
"""
