"""The command by which bridge refers to itself: it works in any folder, alike in any shell."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import ROOT, environment

from bridge import self_command
from bridge.errors import UsageError
from bridge.self_command import own_command, own_words, quoted, show_template

SHELLS = ("bash", "zsh", "fish", "dash")
SPECIAL = st.sampled_from(' "$`!*?[]{}()<>|&;#~=%^,-é日')
WORDS = st.text(
    st.one_of(SPECIAL, st.characters(blacklist_categories=("C", "Z"), blacklist_characters="'\\")),
    min_size=1,
    max_size=20,
)


def test_the_command_holds_the_paths_of_interpreter_and_package():
    python, isolated, path = own_command()
    assert (python, isolated, path) == (sys.executable, "-I", str(ROOT / "bridge"))
    assert (
        show_template("") == f"{own_words()} show {{id}}"
        and show_template("", " --flag") == f"{own_words()} show {{id}} --flag"
    )
    assert show_template("mine {id}", " --flag") == "mine {id}"


@pytest.mark.parametrize("executable", ["", None])
def test_python3_is_used_when_sys_executable_is_empty(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    assert own_command()[0] == "python3"


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=15)
@given(st.lists(WORDS.filter(quoted), min_size=1, max_size=40))
def test_every_shell_reads_quoted_words_alike(shell, words):
    command = r"printf '%s\n' " + " ".join(map(quoted, words))
    ended = subprocess.run(
        [shutil.which(shell), "-c", command],
        capture_output=True,
        env=environment(LC_ALL="C.UTF-8"),
        timeout=30,
    )
    assert (ended.stdout.decode(), ended.stderr) == ("".join(word + "\n" for word in words), b"")


@pytest.mark.parametrize(
    "word", ["", "o'brien", "a\\b", "a\nb", "a\x1bb", "a\x7fb", "a\u202eb", "a\udcffb", "{id}"]
)
def test_a_word_that_cannot_be_quoted_for_every_shell_is_refused(monkeypatch, word):
    assert quoted(word) == ""
    monkeypatch.setattr(self_command, "own_path", lambda: f"/opt/{word}/bridge.pyz")
    if word:
        with pytest.raises(UsageError, match="--shell-command"):
            show_template("")
    assert show_template("mine {id}") == "mine {id}"


def test_a_start_by_path_leaves_no_folder_of_ours_in_sys_path():
    """Neither its own folder, which holds errors.py and settings.py, nor the folder above."""
    words = [sys.executable, "-I", "-i", str(ROOT / "bridge"), "--version"]
    ended = subprocess.run(
        words,
        input="import sys; print(sys.path)\n",
        capture_output=True,
        text=True,
        cwd="/",
        timeout=30,
    )
    version, _, path = ended.stdout.partition("\n")
    assert version.startswith("bridge "), ended
    # README puts a virtual environment into the checkout. Its site-packages may be there.
    entries = {os.path.realpath(entry) for entry in ast.literal_eval(path)}
    assert entries and entries.isdisjoint({str(ROOT), str(ROOT / "bridge")}), ended


@pytest.mark.parametrize("flags", [["-I"], []])
def test_a_file_beside_the_package_does_not_shadow_the_standard_library(tmp_path, flags):
    (tmp_path / "bridge").symlink_to(ROOT / "bridge")
    for name in ("json", "argparse", "importlib", "os"):
        (tmp_path / f"{name}.py").write_text(f"print('{name} ran')\n")
    words = [sys.executable, *flags, str(tmp_path / "bridge"), "--version"]
    ended = subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(PYTHONPATH=""),
        timeout=30,
    )
    assert ended.returncode == 0 and ended.stdout.startswith("bridge ") and ended.stderr == "", (
        ended
    )
