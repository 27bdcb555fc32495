"""`pack`: one file, the same bytes for the same source, and one line on an old Python."""

from __future__ import annotations

import glob
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
from running import ROOT, Broker, environment


def run(*words, cwd=ROOT, **settings):
    return subprocess.run(
        words, cwd=cwd, env=environment(**settings), capture_output=True, text=True, timeout=60
    )


def test_it_holds_every_file_but_documents_and_nothing_else(tmp_path):
    files = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bridge").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    sources = [name for name in files if not name.endswith(".md")]
    assert sources != files, "there are documents to leave out"
    assert run(sys.executable, "-m", "bridge", "pack", tmp_path / "bridge.pyz").returncode == 0
    with zipfile.ZipFile(tmp_path / "bridge.pyz") as archive:
        assert archive.namelist() == sorted(["__main__.py", *sources])
        for name in sources:
            assert archive.read(name) == (ROOT / name).read_bytes()


def test_an_installed_package_holds_the_same_files(program, tmp_path):
    """What setuptools would put into a wheel; the documents stay in the repository."""
    pytest.importorskip("setuptools", minversion="61")  # the first that reads [project]
    copied = tmp_path / "copied"
    shutil.copytree(
        ROOT / "bridge", copied / "bridge", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copied)
    build = "from setuptools import setup; setup()"
    built = run(sys.executable, "-c", build, "build_py", "--build-lib", "built", cwd=copied)
    assert built.returncode == 0, built
    with zipfile.ZipFile(program) as archive:
        packed = set(archive.namelist()) - {"__main__.py"}
    assert packed == {
        path.relative_to(copied / "built").as_posix()
        for path in (copied / "built").rglob("*")
        if path.is_file()
    }


def test_the_same_source_gives_the_same_bytes(program, tmp_path):
    """In another folder, with other file times, with another hash seed, and by the packed file."""
    expected = pathlib.Path(program).read_bytes()
    assert (
        run(
            sys.executable,
            "-m",
            "bridge",
            "pack",
            tmp_path / "a.pyz",
            cwd=tmp_path,
            PYTHONHASHSEED=7,
        ).returncode
        == 0
    )
    assert (
        run(
            sys.executable, program, "pack", tmp_path / "b.pyz", cwd=tmp_path, PYTHONPATH=""
        ).returncode
        == 0
    )
    assert (
        run(
            sys.executable,
            tmp_path / "b.pyz",
            "pack",
            tmp_path / "c.pyz",
            cwd=tmp_path,
            PYTHONPATH="",
        ).returncode
        == 0
    )
    for name in "abc":
        assert (tmp_path / f"{name}.pyz").read_bytes() == expected, name


def other_pythons() -> list[str]:
    """Every Python of this machine, old versions too."""
    found = glob.glob(
        os.path.join(
            os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"),
            "versions",
            "*",
            "bin",
            "python",
        )
    )
    return sorted({os.path.realpath(path) for path in found} | {os.path.realpath(sys.executable)})


@pytest.mark.parametrize("python", other_pythons(), ids=os.path.basename)
def test_every_python_runs_it_or_prints_the_version_that_it_needs(python, program, tmp_path):
    version = tuple(
        map(
            int,
            run(python, "-c", "import sys; print('%d %d' % sys.version_info[:2])").stdout.split(),
        )
    )
    ended = run(python, program, "--version", cwd=tmp_path, PYTHONPATH="")
    if version >= (3, 9):
        assert run(python, "-I", ROOT / "bridge", "--version", cwd=tmp_path).stdout == ended.stdout
        assert ended.returncode == 0 and ended.stdout.startswith("bridge "), ended
        assert (
            run(
                python, program, "pack", tmp_path / "again.pyz", cwd=tmp_path, PYTHONPATH=""
            ).returncode
            == 0
        )
        assert (tmp_path / "again.pyz").read_bytes() == pathlib.Path(program).read_bytes(), (
            "with any Python"
        )
    else:
        assert ended.returncode == 1 and ended.stdout == "", ended
        (line,) = ended.stderr.splitlines()
        assert "3.9" in line and "%d.%d" % version in line
        for words in (["-m", "bridge"], [ROOT / "bridge"]):
            # Python 2 writes bytecode beside the source, where the other tests would find it.
            module = run(python, *words, "--version", PYTHONDONTWRITEBYTECODE=1)
            assert (
                module.returncode == 1
                and "3.9" in module.stderr
                and "Traceback" not in module.stderr
            ), module


def test_it_can_be_run_as_a_program(program, tmp_path):
    ended = run(
        program,
        "--version",
        cwd=tmp_path,
        PYTHONPATH="",
        PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
    )
    assert ended.returncode == 0 and ended.stdout.startswith("bridge ")


def test_exit_statuses_are_kept(program, tmp_path):
    assert (
        run(sys.executable, program, "no-such-command", cwd=tmp_path, PYTHONPATH="").returncode == 2
    )
    assert (
        run(
            sys.executable,
            program,
            "pending",
            "a",
            "--broker-url",
            "http://127.0.0.1:1",
            cwd=tmp_path,
            PYTHONPATH="",
        ).returncode
        == 3
    )


def test_a_broker_serves_its_page_after_its_program_was_replaced(program, tmp_path):
    """An upgrade in place: the old broker continues until its restart."""
    installed = tmp_path / "bridge.pyz"
    shutil.copy(program, installed)
    launcher = [sys.executable, str(installed)]
    with Broker(launcher, ":memory:", cwd=str(tmp_path), PYTHONPATH="") as broker:
        newer = tmp_path / "newer.pyz"
        newer.write_bytes(b"another version")
        newer.replace(installed)
        assert broker.ask("GET", "/").status == broker.ask("GET", "/web/main.js").status == 200
        assert broker.ask("GET", "/metrics").status == broker.ask("GET", "/health").status == 200


def test_it_replaces_a_file_and_leaves_no_draft(tmp_path):
    out = tmp_path / "bridge.pyz"
    out.write_text("old")
    assert run(sys.executable, "-m", "bridge", "pack", out).returncode == 0
    assert zipfile.is_zipfile(out) and [path.name for path in tmp_path.iterdir()] == ["bridge.pyz"]
    assert os.access(out, os.X_OK)


def test_a_place_that_cannot_be_written(tmp_path):
    ended = run(sys.executable, "-m", "bridge", "pack", tmp_path / "no-such-folder" / "bridge.pyz")
    assert (
        ended.returncode == 2
        and len(ended.stderr.splitlines()) == 1
        and "Traceback" not in ended.stderr
    )
    ended = run(sys.executable, "-m", "bridge", "pack", tmp_path)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
