"""Measures: what pushing saves against polling, and what a running broker bears.

    pure, values in and values out:
    figures.py    percentiles, savings, figures as they are shown
    plan.py       the ways to receive, when what happens
    claims.py     what was measured of a way, what is claimed, what is met
    account.py    tickets of a load: sent, accepted, arrived, lost, doubled

    touching the world:
    measuring.py  one way: broker, watchers, settle, idle phase, tickets
    tap.py        a TCP proxy that counts requests and bytes
    cpu.py        CPU time of another process
    load.py       a load on a running broker, from its first stream to its last acknowledgement
    listeners.py  its streams               publishers.py  who sends in it, and who acknowledges
    line.py       its connections, cheaper than the client's

Nothing here prints: cli/bench.py and cli/load.py do.
"""
