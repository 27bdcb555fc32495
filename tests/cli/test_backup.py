"""`backup FILE` against a server that is not a broker, an old broker, and a wrong store."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing

import pytest
from fakes import HTML_404, FakeBroker, encode, problem
from running import ROOT, environment, package_launcher

from bridge.broker.journal.schema import APPLICATION_ID

KIND = "application/vnd.sqlite3"
END = 60.0  # seconds for a command on a loaded machine


def database(tmp_path, owner: int = 0) -> bytes:
    path = tmp_path / f"{owner}.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA application_id = {owner}")
        other.execute("CREATE TABLE thing (x)")
        other.commit()
    return path.read_bytes()


def run(answer: bytes, path, meanwhile=lambda: None) -> tuple[int, str]:
    """The exit status and stderr, when a broker sends `answer` and closes the connection."""

    async def play():
        async def handler(asked, writer):
            assert (asked.method, asked.path) == ("GET", ["backup"])
            meanwhile()
            writer.write(answer)
            await writer.drain()

        async with FakeBroker(handler) as broker:
            process = await asyncio.create_subprocess_exec(
                *package_launcher(), "backup", str(path), "--broker-url", broker.url,
                cwd=ROOT, env=environment(), stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            _, said = await asyncio.wait_for(process.communicate(), END)
            # asyncio's debug mode writes some lines on a loaded machine.
            lines = said.decode().splitlines(True)
            own = [line for line in lines if not line.startswith("Executing")]
            return process.returncode, "".join(own)

    return asyncio.run(play())


@pytest.mark.parametrize(
    "kind, status, word",
    [
        ("older", 4, "too old to give a backup"),
        ("predecessor", 3, "too old to give a backup"),
        ("busy", 5, "another backup is under way"),
        ("another answer", 3, "application/vnd.sqlite3"),
        ("cut", 3, "in the middle"),
        ("no length", 3, "announced no number of bytes"),
        ("empty", 6, "not a store of bridge"),
        ("noise", 6, "damaged"),
        ("another database", 6, "not a store of bridge"),
    ],
)
def test_a_wrong_answer_is_one_line_and_no_file(tmp_path, kind, status, word):
    whole = encode(200, database(tmp_path), KIND)
    answer = {
        "older": problem(404, "there is no resource at '/backup'"),
        "predecessor": HTML_404,
        "busy": problem(409, "another backup is under way"),
        "another answer": encode(200, {"status": "ok"}),
        "cut": whole[:-100],
        "no length": b"\r\n".join(
            line for line in whole.split(b"\r\n") if not line.startswith(b"Content-Length")
        ),
        "empty": encode(200, b"", KIND),
        "noise": encode(200, b"noise" * 5000, KIND),
        "another database": whole,
    }[kind]
    folder = tmp_path / "copies"
    folder.mkdir()
    ended, said = run(answer, folder / "copy.db")
    assert ended == status and word in said and said.count("\n") == 1, (ended, said)
    assert os.listdir(folder) == []


def test_a_file_that_appears_in_the_meantime_is_not_replaced(tmp_path):
    path = tmp_path / "copy.db"
    whole = encode(200, database(tmp_path, APPLICATION_ID), KIND)
    ended, said = run(whole, path, lambda: path.write_text("precious"))
    assert ended == 2 and f"{path} exists already" in said, (ended, said)
    assert path.read_text() == "precious" and not list(tmp_path.glob("*.part"))
    path.unlink()
    assert run(whole, path) == (0, "") and path.read_bytes() == whole.partition(b"\r\n\r\n")[2]
