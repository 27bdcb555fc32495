"""Is everything there that bridge needs, and if not, how is it mended?

    finding.py      Grade, Finding, Setup: what a check is given and what it says
    machine.py      Python, SQLite, locale, descriptors, the name `bridge`, the panes' command
    tmux.py         the tmux program, what its version lacks, its server
    broker.py       reachable, version, proxies, event stream, clock
    store.py        the store's file: sound, private, with room to grow
    examination.py  the table of checks; each one bounded, each failure a finding

Rule 1: a check looks and changes nothing: no file is made, no agent is named to the broker.
Rule 2: a check says what IS, and its `mend` what a person can do about it.
Rule 3: a check that hangs or breaks is itself a finding; the others go on.

Nothing here prints: cli/doctor.py does.
"""
