"""python3 -m bridge, and the `bridge` script of the package.

This file is parsed by whatever Python somebody has, 2.7 too, so that the
answer on an old one is a sentence and not a SyntaxError: no annotations, no
f-strings, and the program is imported only after the look at the version.
"""

import sys

OLDEST = (3, 9)


def run():
    """Run the command line; leaves with its exit status."""
    if sys.version_info < OLDEST:
        sys.stderr.write("bridge: Python 3.9 or later is needed; this is %s (%s)\n" % (sys.version.split()[0], sys.executable))
        raise SystemExit(1)
    from bridge.cli.main import main  # not above: an older Python could not even parse it

    raise SystemExit(main())


if __name__ == "__main__":
    run()
