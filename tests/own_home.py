"""No test reads or writes a file of the person who runs it.

Importing this gives the process a home of its own, and with it all that the tests
start, however they make its environment: it is what `demo` gives to its own processes.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from bridge.scene import private

HOME = tempfile.mkdtemp(prefix="bridge-tests-home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def move(environ: dict[str, str]) -> None:
    pyenv = os.path.expanduser("~/.pyenv")
    if os.path.isdir(pyenv):  # a `python3` of pyenv's looks for its versions here, or else in HOME
        environ.setdefault("PYENV_ROOT", pyenv)
    given = private(environ, HOME)
    for name in set(environ) - set(given):
        del environ[name]
    environ.update(given)


move(os.environ)  # type: ignore[arg-type]
