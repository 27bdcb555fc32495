"""Tables of program names: shells, pagers, editors, pickers, interpreters, agents.

Names decide what a program IS. A process has several names:

- the one by which it was called (argv)
- the one of its executable (`/proc/PID/exe`): Debian's `editor` is nano
- the one of the script that an interpreter runs: aider is Python, gemini is Node, and
  `python3 /usr/bin/xonsh` is a shell

`plain_name` reduces their spellings to one name; every table below is read through it.

An interpreter's options end where its script begins: `qwen -i` is no REPL, `python3 -i` is.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from re import Pattern

from bridge.tmux.readiness.snapshot import ForegroundProcess

# Additions to a name: a platform, a build variant, a version.
_SPELLINGS = (
    re.compile(r" \(deleted\)$"),  # readlink of an executable that was replaced while it runs
    re.compile(r"[-_](linux|darwin|macos|freebsd|x86_64|amd64|x64|arm64|aarch64|musl|gnu)\b.*$"),
    re.compile(r"[.-](exe|basic|tiny|nox|gtk\d?|athena|lucid|static|openbsd|traditional)$"),
    re.compile(r"-?\d[\d.]*$"),
)


def plain_name(path: str) -> str:
    """`/usr/bin/vim.basic`, `python3.11`, `codex-linux-x64`: vim, python, codex."""
    name = os.path.basename(path).lstrip("-").lower()
    for spelling in _SPELLINGS:
        name = spelling.sub("", name) or name  # claude's executable is a bare version number
    return name


def _table(words: str) -> frozenset[str]:
    return frozenset(map(plain_name, words.split()))


SHELLS = _table(
    "bash zsh fish dash ash sh ksh mksh pdksh yash tcsh csh nu xonsh elvish pwsh osh rbash oksh"
)
# These read at their prompt in canonical mode: the flags are the same at the prompt and when busy.
WITHOUT_EDITOR = _table("dash ash sh")
OPAQUE = _table(
    # another machine
    "ssh slogin mosh mosh-client et tsh autossh sshpass dbclient plink rlogin rsh telnet boundary "
    # another container
    "docker podman nerdctl kubectl oc lxc lxc-attach incus machinectl limactl multipass vagrant "
    "distrobox toolbox flyctl fly session-manager-plugin nsenter bwrap firejail proot wsl "
    "sudo doas su runuser pkexec "  # another user
    # another terminal
    "screen tmux tmate zellij byobu dtach abduco script asciinema ttyrec expect unbuffer rlwrap "
    "socat nc ncat cu picocom minicom tio"  # a line to anything
)
PAGERS = _table(
    "less more most man pager sensible-pager bat batcat pg ov moar pspg delta glow info pinfo w3m "
    "lynx links elinks"
)
EDITORS = _table(
    "vi vim nvim view vimdiff rvim rview gvim ex ed editor sensible-editor nano rnano pico emacs "
    "emacsclient micro hx helix kak joe jstar jmacs jpico mg ne jed zile jove nvi vis dte mle "
    "tilde le mcedit mcview sudoedit visudo vipw vigr"
)
PICKERS = _table(
    "fzf fzf-tmux sk skim gum peco percol fzy selecta pick zf tv dmenu bemenu slmenu hstr mcfly "
    "atuin navi broot"
)
FULL_SCREEN = _table(
    "top htop btop atop bashtop bpytop btm glances nvtop iotop iftop nethogs watch tig lazygit "
    "gitui lazydocker ctop dive k9s ncdu gdu mc ranger nnn vifm yazi lf joshuto dialog whiptail "
    "pinentry pinentry-curses pinentry-tty gpg mutt neomutt aerc alpine irssi weechat newsboat "
    "cmus ncmpcpp mtr nmtui alsamixer"
)
# Every key is a command to these.
NO_KEYS = PAGERS | EDITORS | PICKERS | FULL_SCREEN
# These execute their input, and we have no constant command in their language.
INTERPRETERS = _table(
    "perl php R radian lua luajit tclsh wish ghci mysql mariadb psql sqlite3 duckdb clickhouse "
    "clickhouse-client sqlplus isql tsql sqlcmd usql cqlsh influx redis-cli valkey-cli iredis "
    "mongo gdb cgdb lldb dlv jdb pdb bc dc julia octave deno bun erl iex beam.smp scala amm "
    "spark-shell jshell groovysh kotlin kotlinc swift dotnet fsi elm ocaml utop sml poly coqtop "
    "clisp sbcl guile racket scheme chez petite mit-scheme gsi gxi swipl gprolog gnuplot maxima "
    "gap gp sage matlab wolframscript scilab ftp lftp sftp smbclient openssl nslookup "
    "bluetoothctl virsh wpa_cli ch qjs rc es murex ipython ptpython ptipython bpython pyspark "
    "ts-node coffee mongosh irb pry psysh pgcli mycli litecli"
)
REPLS = _table("python pypy node nodejs")  # we have a constant command for these
# One executable for many programs: its first argument is the program's name (`busybox sh`).
MULTI_CALL = _table("busybox toybox coreutils")
# Helpers in a shell's process group. Needed only where file descriptors cannot be read.
HELPERS = _table("gitstatusd ssh-agent gpg-agent direnv starship oh-my-posh")
# Known agents: the name of the process or the script (also of the pip package), and npm packages.
AGENTS = {
    "claude": ("@anthropic-ai/claude-code",),
    "codex": ("@openai/codex",),
    "gemini": ("@google/gemini-cli",),
    "aider": (),
    "copilot": ("@github/copilot",),
    "opencode": ("opencode-ai",),
    "qwen": ("@qwen-code/qwen-code",),
    "cn": ("@continuedev/cli",),
}
_PACKAGES = {package: agent for agent, packages in AGENTS.items() for package in packages}
# Greedy: the innermost package.
_IN_PACKAGE = re.compile(r".*\bnode_modules/((?:@[\w.-]+/)?[\w.-]+)/")


def package_of(path: str) -> str:
    """The agent that owns the npm package of a script; "" for none."""
    match = _IN_PACKAGE.match(path)
    return _PACKAGES.get(match[1], "") if match else ""


# Command lines of programs that run scripts


@dataclass(frozen=True)
class Runner:
    """How one kind of interpreter parses its command line."""

    names: frozenset[str]
    takes_word: frozenset[str]  # options with a value: the next word is no script
    code: Pattern[str]  # options after which the next word is code to run
    talks: Pattern[str]  # options before the script that make it a REPL in spite of it
    module: str = ""  # the option before the name of a module to run


def _runner(
    names: str, takes_word: str, code: str, talks: str = r"(?!)", module: str = ""
) -> Runner:
    return Runner(
        _table(names) if names != "shells" else SHELLS,
        frozenset(takes_word.split()),
        re.compile(code),
        re.compile(talks),
        module,
    )


RUNNERS = (
    _runner(
        "python pypy",
        "-W -X --check-hash-based-pycs",
        r"-[bBdEiIOPqRsSuvx]*c.*",
        r"-[bBdEIOPqRsSuvx]*i[bBdEiIOPqRsSuvxcm]*",
        "m",
    ),
    _runner(
        "node nodejs",
        "-r --require --import --loader --experimental-loader -C --conditions --title",
        r"-(e|p|pe)|--(eval|print)(=.*)?",
        r"-i|--interactive",
    ),
    _runner(
        "bun deno tsx ts-node",
        "--import-map -c --config --cwd",
        r"-(e|p)|--(eval|print)(=.*)?|eval",
    ),
    _runner("ruby perl php lua luajit tclsh", "-I -r", r"-\w*[eErR].*"),
    _runner(
        "shells",
        "--rcfile --init-file -o +o -O +O -C --init-command",
        r"-[a-zA-Z]*c|--command(=.*)?",
    ),
)
_SUBCOMMANDS = frozenset({"run", "x"})  # of bun and deno: the script comes after them


@dataclass(frozen=True)
class ProgramCall:
    """A command line, taken apart."""

    name: str  # of the program, plain
    script: str = ""  # what it runs: a path, a module, or the option before its code
    # It reads statements from the terminal: it has nothing to run, or an option makes it read
    # after that.
    talks: bool = True
    rest: tuple[str, ...] = ()  # the script and its own arguments


def read_call(argv: tuple[str, ...]) -> ProgramCall:
    """The program that was called, and what an interpreter or a shell was given to run."""
    if len(argv) > 1 and plain_name(argv[0]) in MULTI_CALL:
        argv = argv[1:]
    name = plain_name(argv[0]) if argv else ""
    runner = next((runner for runner in RUNNERS if name in runner.names), None)
    if runner is None:
        return ProgramCall(name)
    talks, index = False, 1
    while index < len(argv):
        word = argv[index]
        talks = talks or runner.talks.fullmatch(word) is not None
        if word in runner.takes_word:
            index += 1
        elif runner.module and re.fullmatch(rf"-[a-zA-Z]*{runner.module}", word):
            module = "".join(argv[index + 1 : index + 2]).partition(".")[0]
            return ProgramCall(name, module, talks, argv[index + 1 :])
        elif runner.code.fullmatch(word) or (
            word != "-" and not word.startswith(("-", "+")) and word not in _SUBCOMMANDS
        ):
            return ProgramCall(name, word, talks, argv[index:])
        index += 1
    return ProgramCall(name)


# Processes


@dataclass(frozen=True)
class Names:
    """All names of one process."""

    shown: str  # for a person
    own: tuple[str, ...]  # the name by which it was called, and that of its executable
    script: tuple[str, ...]  # of the script that it runs
    agent: str  # one of AGENTS, "" when it is none
    talks: bool  # reads statements, or runs a script

    def find(self, table: frozenset[str], scripts_only: bool = False) -> str:
        """The first of its names that is in `table`; "" for none."""
        own = () if scripts_only else self.own
        return next((name for name in (*own, *self.script) if name in table), "")

    @property
    def is_shell(self) -> bool:
        return bool(self.find(SHELLS))


def names_of(process: ForegroundProcess) -> Names:
    return _names(process.argv, process.executable)


@lru_cache(maxsize=512)  # each look needs the names of the same few processes again
def _names(argv: tuple[str, ...], path: str) -> Names:
    call, executable = read_call(argv), plain_name(path)
    own = tuple(
        dict.fromkeys(
            name
            for name in (call.name, executable)
            if name and (name == call.name or name not in MULTI_CALL)
        )
    )
    script = plain_name(call.script) if call.script else ""
    shell = any(name in SHELLS for name in own)
    # A shell with a script that is named after an agent only starts that agent.
    agent = (
        ""
        if shell
        else next((name for name in (*own, script, package_of(call.script)) if name in AGENTS), "")
    )
    talks = call.talks
    if script in SHELLS and not shell:  # `python3 /usr/bin/xonsh deploy.xsh`
        talks = read_call(call.rest).talks
    shown = os.path.basename(argv[0]).lstrip("-") if argv else executable
    shown = call.name if plain_name(shown) in MULTI_CALL else shown
    return Names(shown, own, (script,) if script else (), agent, talks)


def is_carrier(process: ForegroundProcess) -> bool:
    """A shell with a script: if it has a child, the child reads (`sh -c 'claude; exec bash'`)."""
    names = names_of(process)
    return names.is_shell and not names.talks


def executes(process: ForegroundProcess) -> bool:
    """Would it execute its input if it got the terminal back?"""
    names = names_of(process)
    return names.is_shell or (names.talks and bool(names.find(INTERPRETERS | REPLS)))
