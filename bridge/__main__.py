"""python3 -m bridge, python3 -I /path/to/bridge, and the `bridge` script of the package.

This file is parsed by whatever Python somebody has, 2.7 too, so that the
answer on an old one is a sentence and not a SyntaxError: no annotations, no
f-strings, and the program is imported only after the look at the version.
"""

import sys

OLDEST = (3, 9)


def run():
    """Run the command line; leaves with its exit status."""
    if sys.version_info < OLDEST:
        sys.stderr.write(
            "bridge: Python 3.9 or later is needed; this is %s (%s)\n"
            % (sys.version.split()[0], sys.executable)
        )
        raise SystemExit(1)
    if __name__ == "__main__" and not __package__:  # -m would have named the package
        load_this_folder()
    from bridge.cli.main import main  # not above: an older Python could not even parse it

    raise SystemExit(main())


def load_this_folder():
    """Import `bridge` from this folder: Python was started by its path.

    Python has put the folder itself into sys.path, where our errors.py, settings.py, ...
    would pass for top-level modules. It is taken out. Its parent is not put there instead:
    a file beside the package (json.py) would pass for one of the standard library.
    """
    import os

    folder = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != folder]
    import importlib.util  # searched for in sys.path: not before the line above

    here = os.path.dirname(os.path.abspath(__file__))
    place = os.path.join(here, "__init__.py")
    spec = importlib.util.spec_from_file_location(
        "bridge", place, submodule_search_locations=[here]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["bridge"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


if __name__ == "__main__":
    run()
