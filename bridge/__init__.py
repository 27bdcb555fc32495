"""bridge delivers messages between coding agents that live in tmux panes.

    wire/     bytes in, values out: HTTP/1.1 and event streams, no I/O
    broker/   takes a ticket over HTTP, puts it on disk, pushes it to whoever waits
    client/   asks a broker: one request, or one event stream
    watcher/  receives one agent's tickets and hands each to a sink, once
    tmux/     the sink that matters: types into a pane when the pane is ready
    cli/      one file per family of commands; the only place that prints and exits

README has the long version: map, words, decisions.
"""

__version__ = "0.1.0"
