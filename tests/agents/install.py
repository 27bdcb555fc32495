"""Install real coding agents for these tests: python3 tests/agents/install.py claude codex ...

    BRIDGE_AGENTS_DIR/<name>/node_modules/.bin/<program>     (npm)
    BRIDGE_AGENTS_DIR/aider/bin/aider                        (pip, in its own environment)

No version is pinned, because users run the newest release. The script prints each version.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from programs import PROGRAMS, Program

DEFAULT = "~/.cache/bridge-agents"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = sorted(name for name, program in PROGRAMS.items() if program.package)
    parser.add_argument("agents", nargs="+", choices=names, metavar="AGENT", help=", ".join(names))
    default = os.environ.get("BRIDGE_AGENTS_DIR") or os.path.expanduser(DEFAULT)
    says = f"default: $BRIDGE_AGENTS_DIR or {DEFAULT}"
    parser.add_argument("--folder", default=default, help=says)
    options = parser.parse_args()
    failed = [name for name in options.agents if not install(PROGRAMS[name], options.folder)]
    if failed:
        print(f"not installed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def install(program: Program, folder: str) -> bool:
    place = os.path.join(folder, program.folder)
    os.makedirs(place, exist_ok=True)
    try:
        for words in commands(program, place):
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        print(f"{program.name}: {version(program, folder)}", flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{program.name}: {error}", file=sys.stderr)
        return False
    return True


def commands(program: Program, place: str) -> list[list[str]]:
    if program.name == "aider":
        pip = [f"{place}/bin/pip", "install", "-q", "--disable-pip-version-check", program.package]
        return [[sys.executable, "-m", "venv", place], pip]
    # With the tag, npm takes the newest release even if its `engines` require another version of
    # node. Claude Code's program is a binary, and needs no node.
    npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", place]
    return [[*npm, f"{program.package}@latest"]]


def version(program: Program, folder: str) -> str:
    with tempfile.TemporaryDirectory() as home:
        words = [program.path(folder), "--version"]
        environment = {**os.environ, "HOME": home}
        done = subprocess.run(
            words, check=True, capture_output=True, text=True, env=environment, timeout=60
        )
    return (done.stdout.strip() or done.stderr.strip()).splitlines()[0]


if __name__ == "__main__":
    raise SystemExit(main())
