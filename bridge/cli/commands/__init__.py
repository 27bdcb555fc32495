"""One module for each command; a command module has `configure(parser)` and `run(args) -> int`.

Two commands have more than the module of their name:

    bench  load.py: `bench load`
    top    top/: agents and tickets live, in a terminal
"""
