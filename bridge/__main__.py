"""python3 -m bridge, python3 -I /path/to/bridge, and the `bridge` script of the package.

Any Python must be able to parse this file, 2.7 too. An old one then prints a
sentence and not a SyntaxError. So there are no annotations and no f-strings,
and the program is imported only after the check of the version.
"""

import sys

OLDEST = (3, 9)


def run():
    """Run the command line, and exit with its status."""
    if sys.version_info < OLDEST:
        sys.stderr.write(
            "bridge: Python 3.9 or later is needed; this is %s (%s)\n"
            % (sys.version.split()[0], sys.executable)
        )
        raise SystemExit(1)
    if __name__ == "__main__" and not __package__:  # with -m, __package__ is set
        load_this_folder()
    from bridge.cli.main import main  # not at the top: an older Python cannot parse it

    raise SystemExit(main())


def load_this_folder():
    """Import `bridge` from this folder, because Python was started with the folder's path.

    Python has put the folder itself into sys.path, where our errors.py, tasks.py, ... would
    pass for top-level modules. This function takes it out. It does not add the parent instead:
    a file beside the package (json.py) would pass for one of the standard library.
    """
    import os

    folder = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != folder]
    import importlib.util  # found through sys.path, so not before the line above

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
