"""Is everything there that bridge needs, and if not, how is it fixed?

    finding.py      Grade, Finding, Setup: the input and the result of a check
    machine.py      Python, SQLite, locale, descriptors, the name `bridge`, the panes' command
    tmux.py         the tmux program, what its version lacks, its server
    broker.py       reachable, version, proxies, event stream, clock
    store.py        the store's file: sound, private, with room to grow
    examination.py  the table of checks; each has a time limit, each failure is a finding

Rule 1: a check changes nothing. It makes no file, and sends no agent's name to the broker.
Rule 2: a check reports the state, and `mend` what a person can do about it.
Rule 3: a check that hangs or crashes is itself a finding, and the others go on.

Nothing here prints. cli/commands/doctor.py does.
"""
