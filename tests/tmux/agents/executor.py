"""A program that executes its input, as a shell does, and that no table of bridge names.

    executor.py --prompt=PROMPT [--key]

In raw mode it runs each line with os.system. With --key it ends at the first key, as a picker does.
"""

from __future__ import annotations

import os
import sys
import termios
import tty

prompt = next(word for word in sys.argv if word.startswith("--prompt=")).partition("=")[2]
terminal = os.open("/dev/tty", os.O_RDWR)
before = termios.tcgetattr(terminal)
tty.setraw(terminal)
os.write(terminal, f"EXECUTOR\r\n{prompt}".encode())
line = ""
while True:
    key = os.read(terminal, 1).decode("latin-1")
    if "--key" in sys.argv:
        break
    if key in "\r\n":
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        os.system(line.replace("\x1b[200~", "").replace("\x1b[201~", ""))
        tty.setraw(terminal)
        os.write(terminal, f"\r\n{prompt}".encode())
        line = ""
    else:
        line += key
        os.write(terminal, key.encode("latin-1"))
termios.tcsetattr(terminal, termios.TCSANOW, before)
