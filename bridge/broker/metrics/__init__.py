"""What the broker counts, and how it shows the counts.

    counters.py         the counters; called at every stage
    histogram.py        counts by upper bound
    timeline.py         the last two minutes, and the latency of each hop
    watcher_series.py   the watchers' numbers, added up
    process.py          this process: CPU, memory
    definitions.py      every metric by name, kind, meaning and unit
    exposition.py       the text format of Prometheus

Nothing here decides anything: the other modules call it at each stage of a ticket.
"""
