"""The long soak, by hand: python3 tests/soak [--seconds N] [--seed S] [--runs N]

Makes `--runs` runs, each with the next seed, and keeps the folder of each run that failed.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import shutil
import signal
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent), str(TESTS / "tmux")]

from soak.scene import CREWS  # noqa: E402
from soak.soaking import soak  # noqa: E402

WRONGS_SHOWN = 20  # one early fault can leave all later tickets undelivered


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 tests/soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="of chaos in each run (default 600)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="of the first run (default: a random one)",
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument(
        "--crew",
        default="",
        choices=sorted(CREWS),
        help="the processes that watch (default: chosen by the seed)",
    )
    parser.add_argument("--quiet", action="store_true", help="print only the outcome of each run")
    options = parser.parse_args()
    # As Ctrl-C does: unwind, so that every process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = 0
    for seed in range(options.seed, options.seed + options.runs):
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bridge-soak-{seed}-"))
        outcome = soak(
            str(seed),
            options.seconds,
            folder,
            (lambda text: None) if options.quiet else lambda text: print(text, flush=True),
            options.crew,
        )
        result = f"FAILED, see {folder}" if outcome.wrongs else "holds"
        print(f"seed {seed}: {result}\n{outcome.summary}", flush=True)
        for wrong in outcome.wrongs[:WRONGS_SHOWN]:
            print("  WRONG:", wrong, flush=True)
        if len(outcome.wrongs) > WRONGS_SHOWN:
            print(f"  and {len(outcome.wrongs) - WRONGS_SHOWN} more", flush=True)
        failed += bool(outcome.wrongs)
        if not outcome.wrongs:
            shutil.rmtree(folder)
    return 1 if failed else 0


raise SystemExit(main())
