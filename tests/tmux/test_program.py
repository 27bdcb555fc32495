"""Classify the foreground program, from tables of the process groups of real programs."""

from __future__ import annotations

import pytest

from bridge.tmux.readiness import ps
from bridge.tmux.readiness.program import Kind, Learned, Rules, classify
from bridge.tmux.readiness.program_names import AGENTS, names_of, plain_name, read_call
from bridge.tmux.readiness.snapshot import ForegroundProcess, PaneState, Terminal
from bridge.tmux.readiness.verdict import judge

RAW, COOKED = (True, False, False, False), (True, True, True, True)


def processes(*lines: str) -> tuple[ForegroundProcess, ...]:
    """Parse lines of `depth reads command line`, optionally followed by `= executable`.

    The depth is the indent. Reads the terminal: + yes, - no, ? unknown.
    """
    found: list[ForegroundProcess] = []
    parents = {-1: 1}
    for pid, line in enumerate(lines, 10):
        indent = len(line) - len(line.lstrip())
        sign, _, words = line.strip().partition(" ")
        words, _, executable = words.partition(" = ")
        parent = next(parents[depth] for depth in range(indent - 1, -2, -1) if depth in parents)
        parents = {
            **{depth: pid_ for depth, pid_ in parents.items() if depth < indent},
            indent: pid,
        }
        reads = {"+": True, "-": False, "?": None}[sign]
        found.append(ForegroundProcess(tuple(words.split()), executable, pid, parent, "7", reads))
    return tuple(found)


def state_of(
    group: tuple[ForegroundProcess, ...], reader: int = 0, flags=RAW, **fields
) -> PaneState:
    one = group[reader]
    terminal = Terminal(
        *flags, own=True, argv=one.argv, group=group, process=f"{one.pid}-{one.started}"
    )
    return PaneState("", 1, "%0", 2, rows=("❯ ",), cursor_x=2, terminal=terminal, **fields)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/vim.basic", "vim"),
        ("/usr/bin/vim.tiny", "vim"),
        ("-bash", "bash"),
        ("/bin/bash-static", "bash"),
        ("python3.11", "python"),
        ("/Library/Frameworks/Python.app/Contents/MacOS/Python", "python"),
        ("node20", "node"),
        ("ksh93", "ksh"),
        ("nc.openbsd", "nc"),
        ("codex-linux-x64", "codex"),
        ("gitstatusd-darwin-arm64", "gitstatusd"),
        ("/usr/bin/claude (deleted)", "claude"),
        ("2.1.332", "2.1.332"),
        ("emacs-nox", "emacs"),
        ("w3m", "w3m"),
        ("beam.smp", "beam.smp"),
        ("", ""),
    ],
)
def test_all_spellings_of_a_program_have_one_name(path, name):
    assert plain_name(path) == name


@pytest.mark.parametrize(
    ("argv", "script", "talks"),
    [
        ("bash", "", True),
        ("bash -l", "", True),
        ("bash --rcfile x", "", True),
        ("bash -c ls", "-c", False),
        ("bash -lc ls", "-lc", False),
        ("bash x.sh a", "x.sh", False),
        ("bash -r x.sh", "x.sh", False),
        ("zsh -o vi", "", True),
        ("busybox sh", "", True),
        ("busybox sh x.sh", "x.sh", False),
        ("python3 -q", "", True),
        ("python3 -m http.server", "http", False),
        ("python3 -Im aider", "aider", False),
        ("python3 /opt/aider", "/opt/aider", False),
        ("python3 -i x.py", "x.py", True),
        ("python3 -qi x.py", "x.py", True),
        ("python3 -W ignore x.py", "x.py", False),
        ("python3 -Wignore x.py", "x.py", False),
        ("python3 x.py -i", "x.py", False),
        ("python3 -c x -i", "-c", False),
        ("/usr/bin/python3.11 -X dev -W error", "", True),
        ("node -r fs", "", True),
        ("node -i", "", True),
        ("node --import ./a.mjs b.js", "b.js", False),
        ("node agent.js -i", "agent.js", False),
        ("node -e x", "-e", False),
        ("bun run agent.ts", "agent.ts", False),
        ("deno", "", True),
        ("less claude", "", True),  # `claude` is a file to show, not a script
    ],
)
def test_the_script_is_found_after_the_options(argv, script, talks):
    call = read_call(tuple(argv.split()))
    assert (call.script, call.talks) == (script, talks)


PACKAGES = "/home/lucy/.cache/agents/node_modules/"
# Process trees of the real programs, with and without the launcher that started them.
TREES = {
    "claude": ["+ /opt/claude-code-linux-x64/claude = /opt/claude-code-linux-x64/claude"],
    "claude installed by its own installer": [
        "+ claude = /home/lucy/.local/share/claude/versions/2.1.332"
    ],
    "claude with a title": ["+ claude = /usr/bin/node"],
    "claude run by node": [f"+ node {PACKAGES}@anthropic-ai/claude-code/cli.js = /usr/bin/node"],
    "claude below a launcher": [
        "+ python3 launch.py claude = /usr/bin/python3.11",
        " + /opt/claude = /opt/claude",
    ],
    "claude below npx": [
        "+ npm_exec = /usr/bin/node",
        " + sh -c claude = /usr/bin/dash",
        "  + node /home/lucy/.npm/_npx/1/node_modules/.bin/claude = /usr/bin/node",
    ],
    "codex": [
        f"+ node {PACKAGES}.bin/codex = /usr/bin/node",
        " + /opt/vendor/bin/codex = /opt/vendor/bin/codex",
    ],
    "codex run from its package": [f"+ node {PACKAGES}@openai/codex/bin/codex.js = /usr/bin/node"],
    "gemini": [f"+ node {PACKAGES}.bin/gemini = /usr/bin/node"],
    "gemini run from its package": [
        f"+ node {PACKAGES}@google/gemini-cli/dist/index.js = /usr/bin/node"
    ],
    "aider": ["+ /opt/venv/bin/python3 /opt/venv/bin/aider --model x = /usr/bin/python3.11"],
    "aider as a module": ["+ python3 -m aider = /usr/bin/python3.11"],
    "copilot": [
        f"+ node {PACKAGES}.bin/copilot = /usr/bin/node",
        f" + {PACKAGES}@github/copilot-linux-x64/copilot"
        f" = {PACKAGES}@github/copilot-linux-x64/copilot",
    ],
    "copilot run from its package": [f"+ node {PACKAGES}@github/copilot/index.js = /usr/bin/node"],
    "opencode": ["+ /opt/opencode-linux-x64/bin/opencode = /opt/opencode-linux-x64/bin/opencode"],
    "opencode run from its package": [f"+ node {PACKAGES}opencode-ai/bin/cli.js = /usr/bin/node"],
    "qwen": [
        f"+ node {PACKAGES}.bin/qwen = /usr/bin/node",
        f" + /usr/bin/node {PACKAGES}.bin/qwen = /usr/bin/node",
    ],
    "qwen told something at its start": [
        f"+ node {PACKAGES}@qwen-code/qwen-code/dist/cli.js -i hello = /usr/bin/node"
    ],
    "cn": [f"+ node {PACKAGES}.bin/cn --config x = /usr/bin/node"],
    "cn run from its package": [f"+ node {PACKAGES}@continuedev/cli/dist/index.js = /usr/bin/node"],
}


@pytest.mark.parametrize("tree", TREES)
def test_known_agents_are_recognized_in_all_their_process_trees(tree):
    group = processes(*TREES[tree])
    assert (
        any(names_of(process).agent == tree.split()[0] for process in group)
        and tree.split()[0] in AGENTS
    )
    known = next(index for index, process in enumerate(group) if names_of(process).agent)
    found = classify(state_of(group, known), Rules())
    assert (found.kind, found.name) == (Kind.AGENT, tree.split()[0])


KINDS = [
    # The executable's name counts as well as the command's.
    (["+ editor x = /usr/bin/nano"], Kind.NEVER, "editor"),
    (["+ my-editor x = /usr/bin/vim.basic"], Kind.NEVER, "vim"),
    (["+ git commit = /usr/bin/git", " + editor MSG = /bin/nano"], Kind.NEVER, "editor"),
    (
        [
            "+ crontab -e = /usr/bin/crontab",
            " + sh -c x = /usr/bin/dash",
            "  + whatever MSG = /usr/bin/mg",
        ],
        Kind.NEVER,
        "mg",
    ),
    (["+ claude = /bin/bash-static"], Kind.SHELL, "bash"),
    (["+ claude x.sh = /bin/bash-static"], Kind.SHELL, "bash"),
    (["+ busybox less x = /bin/busybox"], Kind.NEVER, "less"),
    (["+ cat = /bin/busybox"], Kind.UNKNOWN, "cat"),
    (["+ less claude = /usr/bin/less"], Kind.NEVER, "less"),
    (["+ tail -f claude = /usr/bin/tail"], Kind.UNKNOWN, "tail"),
    # Each process of the group counts, not only its leader.
    (
        ["+ python3 gcloud = /usr/bin/python3", " + script -q x = /usr/bin/script"],
        Kind.OPAQUE,
        "script",
    ),
    (
        ["+ aws ssm = /usr/bin/python3", " + session-manager-plugin x"],
        Kind.OPAQUE,
        "session-manager-plugin",
    ),
    (["+ python3 gh", " ? ssh host"], Kind.OPAQUE, "ssh"),
    (["+ python3 /usr/bin/asciinema rec x = /usr/bin/python3.11"], Kind.OPAQUE, "asciinema"),
    (["+ git log = /usr/bin/git", " + pager = /usr/bin/less"], Kind.NEVER, "pager"),
    (["+ python3 tool.py", " + sk"], Kind.NEVER, "sk"),
    (["+ sleep 9", "+ fzf"], Kind.NEVER, "fzf"),
    (["+ python3 tool.py = /usr/bin/python3", " + bash = /bin/bash"], Kind.PROGRAM, "bash"),
    (["+ python3 tool.py", " - bash -c x"], Kind.UNKNOWN, "python3"),
    (["+ python3 /usr/bin/xonsh = /usr/bin/python3.11"], Kind.SHELL, "xonsh"),
    (["+ perl"], Kind.INTERPRETER, "perl"),
    (["+ perl x.pl"], Kind.UNKNOWN, "perl"),
    # Processes in the group of an idle shell.
    (["+ bash = /bin/bash", " - bash = /bin/bash", "  + fzf = /usr/bin/fzf"], Kind.NEVER, "fzf"),
    (["+ bash = /bin/bash", " + gum input"], Kind.NEVER, "gum"),
    (["+ bash = /bin/bash", " + my-picker"], Kind.PROGRAM, "my-picker"),
    (["+ bash = /bin/bash", " ? my-picker"], Kind.PROGRAM, "my-picker"),
    (["+ bash = /bin/bash", " - my-helper"], Kind.SHELL, "bash"),
    (["+ bash = /bin/bash", " + bash = /bin/bash"], Kind.PROGRAM, "bash"),
    (["+ zsh = /bin/zsh", " - zsh = /bin/zsh", "  - gitstatusd-linux-x86_64"], Kind.SHELL, "zsh"),
    (["? -zsh", " ? -zsh", "  ? /opt/gitstatusd-darwin-arm64"], Kind.SHELL, "zsh"),
    (["? -zsh", " ? -zsh", "  ? fzf"], Kind.NEVER, "fzf"),
    # An agent's tools and servers have pipes. A child that reads the terminal has none.
    (["+ claude", " - bash -c x", "  - sleep 9"], Kind.AGENT, "claude"),
    (
        [
            "+ claude",
            " - docker run -i mcp",
            " - deno run x",
            " - node server.js",
            " - bash",
            " - less",
        ],
        Kind.AGENT,
        "claude",
    ),
    (["? claude", " ? docker run -i mcp", " ? deno run x", " ? sh -c x"], Kind.AGENT, "claude"),
    (["+ claude", " + editor MSG = /bin/nano"], Kind.NEVER, "editor"),
    (["? claude", " ? vim MSG"], Kind.NEVER, "vim"),
    (["+ claude", " + bash"], Kind.PROGRAM, "bash"),
    (["+ claude", " + ssh host"], Kind.OPAQUE, "ssh"),
    # An interpreter without a script is a REPL; options count only before the script.
    (["+ node"], Kind.REPL, "node"),
    (["+ python3 -i x.py"], Kind.REPL, "python3"),
    (["+ node agent.js -i"], Kind.UNKNOWN, "node"),
    # A process that set its title: the script that it runs is unknown.
    (["+ foo = /usr/bin/python3.11"], Kind.UNKNOWN, "foo"),
]


@pytest.mark.parametrize(
    ("tree", "kind", "name"),
    KINDS,
    ids=lambda value: " / ".join(value) if isinstance(value, list) else None,
)
def test_the_whole_group_decides_what_is_in_the_foreground(tree, kind, name):
    found = classify(state_of(processes(*tree)), Rules())
    assert (found.kind, found.name) == (kind, name)


def test_a_program_beside_an_agent_is_an_objection_with_form_agent_too():
    for line, reason in (
        (" + vim x", "vim is open"),
        (" + script x", "script is in the foreground"),
        (" + bash", "bash is running"),
    ):
        verdict = judge(
            state_of(processes("+ python3 agent.py", line)), Learned(still=1.0), Rules(form="agent")
        )
        assert not verdict.ready and verdict.reason.startswith(reason), verdict
    assert judge(
        state_of(processes("+ python3 agent.py", " - bash -c x", " - docker run x")),
        Learned(still=1.0),
        Rules(form="agent"),
    ).ready


@pytest.mark.parametrize("name", ["  PID", "not a row", ""])
def test_invalid_rows_of_ps_are_skipped(name):
    assert ps.parse(name, 1) == ((), ())


def test_the_columns_of_ps_on_macos_and_procps_are_read():
    table = (
        " 6303     1  6303  6307 Ss   Sat Nov 28 09:03:40 2026     -zsh\n"
        " 6307  6303  6307  6307 S+   Sat Nov  8 09:03:41 2026     sh -c claude; exec zsh\n"
        " 6308  6307  6307  6307 S+   Sat Nov 28 09:03:42 2026     node /opt/bin/claude\n"
        " 6309  6303  6309  6307 T    Sat Nov 28 09:03:42 2026     vim\n"
        " 6310  6307  6307  6307 Z+   Sat Nov 28 09:03:42 2026     (sh)\n"
    )
    group, others = ps.parse(table, 6303)
    assert [(one.pid, one.parent, one.argv[0], one.started, one.reads) for one in group] == [
        (6307, 6303, "sh", "20261108090341", None),
        (6308, 6307, "node", "20261128090342", None),
    ]
    assert [one.pid for one in others] == [6303, 6309]
