"""Keep the tests away from the files of the person who runs them.

Importing this module gives this process a temporary home directory. Every process that
the tests start inherits it. `bridge demo` does the same for its own processes.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from bridge.sandbox import private

HOME = tempfile.mkdtemp(prefix="bridge-tests-home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def move(environ: dict[str, str]) -> None:
    pyenv = os.path.expanduser("~/.pyenv")
    # pyenv's `python3` looks for its versions in PYENV_ROOT, and without it in HOME.
    if os.path.isdir(pyenv):
        environ.setdefault("PYENV_ROOT", pyenv)
    # Without bytecode each start of bridge compiles all of its modules, which doubles the time.
    # So a person who wants none in this folder gets it in the temporary home.
    if environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(HOME, "bytecode"))
    given = private(environ, HOME)
    for name in set(environ) - set(given):
        del environ[name]
    environ.update(given)


move(os.environ)  # type: ignore[arg-type]
