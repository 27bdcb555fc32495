"""An agent with bracketed paste that reads byte by byte, and is killed after --read-lines lines.

The rest of the input stays in the terminal's queue, where the shell below finds it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import tty

flags = argparse.ArgumentParser()
flags.add_argument("--log")
flags.add_argument("--read-lines", type=int, default=3)
options = flags.parse_args()

tty.setraw(0)
os.write(1, b"\x1b[?2004hBRIDGE-TEST-AGENT\r\n\r\n\xe2\x9d\xaf ")
lines = 0
while lines < options.read_lines:
    char = os.read(0, 1)  # one byte at a time, so that the rest stays in the terminal's queue
    lines += char in (b"\n", b"\r")
time.sleep(0.2)
os.system("stty sane")
os.write(1, b"\x1b[?2004l\r\n")
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
