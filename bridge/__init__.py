"""bridge delivers messages between coding agents that live in tmux panes.

    wire/     bytes in, values out: HTTP/1.1 and event streams, no I/O
    broker/   takes a ticket over HTTP, puts it on disk, pushes it to its subscribers
    client/   asks a broker: one request, or one event stream
    watcher/  receives the tickets of one agent, or of many, and hands each to a sink, once
    tmux/     the main sink: types into a pane when the pane is ready
    doctor/   checks whether the machine has everything that bridge needs
    bench/    measures pushing against polling, and the load that a broker takes
    cli/      one file per family of commands; the only place that prints and exits

README has the long version: map, words, decisions.
"""

__version__ = "0.2.0"
