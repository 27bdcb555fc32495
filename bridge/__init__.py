"""bridge delivers messages between coding agents that live in tmux panes.

    wire/     bytes in, values out: HTTP/1.1 and event streams, no I/O
    broker/   takes a ticket over HTTP, puts it on disk, pushes it to its subscribers
    client/   asks a broker: one request, or one event stream
    watcher/  receives the tickets of one agent, or of many, and hands each to a sink, once
    tmux/     the main sink: types into a pane when the pane is ready
    doctor/   checks whether the machine has everything that bridge needs
    bench/    measures pushing against polling, and the load that a broker takes
    cli/      one file per command; the only place that prints and exits
    settings/ every setting: default, unit, range, environment variable

DESIGN.md has the map and the words, DECISIONS.md the reasons, HTTP_API.md the wire.
"""

__version__ = "0.2.0"
