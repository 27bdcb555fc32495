"""A persistent control client instead of one process per tmux command. Optional (`--control`).

    wire.py            parser of tmux's control mode; one command as one line
    session_choice.py  to which session may a control client attach unnoticed?
    attachment.py      a control client that connects early and attaches late
    connection.py      that client: requests and answers
    client.py          the methods of server/client.py through it, where that is allowed and works

The other folders of tmux/ use only the methods of server/client.py, so this one can be deleted.
"""
