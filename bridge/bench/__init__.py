"""Measures what push saves compared with polling, and what load a running broker can take.

    pure, values in and values out:
    figures.py      percentiles, savings, formatted figures
    plan.py         the ways to receive, and the schedule
    claims.py       what was measured of a way, what is claimed, what is met
    account.py      tickets of a load: sent, accepted, arrived, lost, doubled

    with I/O:
    measuring.py    one way: broker, watchers, settle, idle phase, tickets
    tap.py          a TCP proxy that counts requests and bytes
    cpu.py          CPU time of another process
    load.py         a load on a running broker, from its first stream to its last acknowledgement
    subscribers.py  the streams of a load
    publishers.py   the publishers of a load, and its acknowledgements
    connections.py  the connections of a load, cheaper than the client's

Nothing here prints: cli/commands/bench.py and cli/commands/load.py do.
"""
