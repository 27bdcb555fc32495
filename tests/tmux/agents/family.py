"""Start children in this process group, then become, or run, the given program.

    family.py [--pipe NAME]... [--terminal NAME]... [--below] PROGRAM [ARGUMENT]...

Each child has the name NAME and sleeps. Its standard input is a pipe or the terminal.
With --below PROGRAM runs as one more child, as under a launcher. Otherwise it replaces this
process.
"""

from __future__ import annotations

import os
import subprocess
import sys

words = sys.argv[1:]
while words and words[0] in ("--pipe", "--terminal"):
    stdin = subprocess.PIPE if words[0] == "--pipe" else None
    child = subprocess.Popen(
        [words[1], "300"], executable="/bin/sleep", stdin=stdin, stdout=subprocess.DEVNULL
    )
    if child.stdin is not None:
        os.set_inheritable(child.stdin.fileno(), True)
    words = words[2:]
if words[0] == "--below":
    sys.exit(subprocess.run(words[1:], check=False).returncode)
os.execvp(words[0], words)
