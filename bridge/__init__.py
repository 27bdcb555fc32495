"""bridge delivers messages between coding agents that live in tmux panes.

    wire/     bytes in, values out: HTTP/1.1 and event streams, no I/O
    broker/   takes a ticket over HTTP, puts it on disk, pushes it to whoever waits
    client/   asks a broker: one request, or one event stream
    watcher/  receives the tickets of one agent, or of many, and hands each to a sink, once
    tmux/     the sink that matters: types into a pane when the pane is ready
    doctor/   is everything there that bridge needs?
    bench/    what pushing saves against polling, and what a broker bears
    cli/      one file per family of commands; the only place that prints and exits

README has the long version: map, words, decisions.
"""

__version__ = "0.2.0"
