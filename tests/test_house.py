"""The rules of the layout, checked with ast: floors, purity, size, a theory at the top of a module.

FLOORS, in floors.py, is the plan. Its longest name that is a module's own name, or a folder
above it, gives the module its floor. A module without a floor fails. A module imports only
from lower floors, or from modules of its own folder on its own floor.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest
from floors import FLOORS

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOUSE = ROOT / "bridge"
LINES_MAX = 350
FUNCTION_MAX = 60  # lines; the aim is 10, rarely over 40

PURE_FLOORS = (0, 2, 3, 3.5)
IMPURE = {
    "asyncio",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "logging",
    "selectors",
    "multiprocessing",
}
BANNED_NAMES = {"utils", "util", "common", "core", "manager", "helpers", "misc"}
STRANGERS = [
    ("bridge.broker", "bridge.watcher"),
    ("bridge.broker", "bridge.client"),
    ("bridge.broker", "bridge.tmux"),
    ("bridge.wire", "bridge.ticket"),
]

# sys.stdlib_module_names exists since 3.10. On 3.9 the names come from the installed library.
STANDARD = getattr(sys, "stdlib_module_names", None) or set(sys.builtin_module_names) | {
    path.stem
    for path in pathlib.Path(ast.__file__).parent.iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
} | {
    path.name.split(".")[0]
    for path in (pathlib.Path(ast.__file__).parent / "lib-dynload").glob("*.so")
}


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(HOUSE.rglob("*.py"))}
TREES = {
    name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in FILES.items()
}


def floor_of(name: str):
    """The floor of a module, or None if FLOORS does not name it."""
    if name in FLOORS:
        return FLOORS[name]
    parent = name
    while parent:
        if parent + ".*" in FLOORS:
            return FLOORS[parent + ".*"]
        parent = parent.rpartition(".")[0]
    return None


def imports_of(name: str) -> list[tuple[str, int]]:
    """(module, line) of each import, including those in functions and under TYPE_CHECKING."""
    found = []
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{name}:{node.lineno}: a relative import hides which floor it reaches"
            )
            # `from bridge.wire import sse` names a module. `from bridge.ticket import Ticket`
            # names an object in a module.
            found += [
                (
                    f"{node.module}.{a.name}"
                    if f"{node.module}.{a.name}" in FILES
                    else node.module,
                    node.lineno,
                )
                for a in node.names
            ]
    return found


def folder_of(name: str) -> str:
    return name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]


def test_the_modules_were_found():
    assert "bridge.errors" in FILES and len(FILES) > 3


@pytest.mark.parametrize("name", FILES)
def test_file_has_a_floor(name):
    assert floor_of(name) is not None, f"{name} has no floor: give it one in tests/floors.py"


def test_every_line_of_the_table_names_a_module():
    dead = [name for name in FLOORS if not name.endswith(".*") and name not in FILES]
    dead += [
        name
        for name in FLOORS
        if name.endswith(".*") and not any(f == name[:-2] or f.startswith(name[:-1]) for f in FILES)
    ]
    planned = set()  # names of the plan that do not exist yet
    assert set(dead) <= planned, dead


@pytest.mark.parametrize("name", FILES)
def test_imports_reach_only_lower_floors_or_the_own_folder(name):
    for target, line in imports_of(name):
        if not target.split(".")[0] == "bridge":
            continue
        assert target in FILES, f"{name}:{line} imports {target}, which does not exist"
        mine, theirs = floor_of(name), floor_of(target)
        beside = mine == theirs and (
            folder_of(name) == folder_of(target) or FILES[name].parent in FILES[target].parents
        )
        assert theirs < mine or beside, (
            f"{name}:{line} (floor {mine}) imports {target} (floor {theirs})"
        )


@pytest.mark.parametrize("name", FILES)
def test_only_the_standard_library_is_imported(name):
    for target, line in imports_of(name):
        assert target.split(".")[0] in STANDARD | {"bridge"}, f"{name}:{line} imports {target}"


@pytest.mark.parametrize("name", [name for name in FILES if floor_of(name) in PURE_FLOORS])
def test_pure_floors_have_no_io_and_no_clock(name):
    impure = [(target, line) for target, line in imports_of(name) if target.split(".")[0] in IMPURE]
    assert not impure, f"{name} is on a pure floor: {impure}"


@pytest.mark.parametrize("one, other", STRANGERS)
def test_independent_packages_never_import_each_other(one, other):
    for mine, theirs in [(one, other), (other, one)]:
        for name in FILES:
            if name == mine or name.startswith(mine + "."):
                reached = [
                    target
                    for target, _ in imports_of(name)
                    if target == theirs or target.startswith(theirs + ".")
                ]
                assert not reached, f"{name} imports {reached}"


def test_wire_protocols_never_import_each_other():
    """Each folder in wire is a protocol, and so is sse. The other files in wire are HTTP."""

    def protocol(name):
        if not name.startswith("bridge.wire."):
            return None
        part = name.split(".")[2]
        return part if part == "sse" or (HOUSE / "wire" / part).is_dir() else "http"

    for name in FILES:
        for target, line in imports_of(name):
            if protocol(name) and protocol(target):
                assert protocol(name) == protocol(target), f"{name}:{line} imports {target}"


@pytest.mark.parametrize("name", FILES)
def test_file_is_short_and_begins_with_its_theory(name):
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LINES_MAX, f"{name} is {len(lines)} lines long"
    assert (ast.get_docstring(TREES[name]) or "").strip(), f"{name} has no docstring"


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_MAX, (
                f"{name}:{node.lineno} {node.name} is {length} lines long"
            )


@pytest.mark.parametrize("name", FILES)
def test_annotations_are_never_run(name):
    """Without the __future__ import, 3.9 evaluates `X | None` in an annotation and fails.

    Modules without code need no import. __main__ has none, because Python 2.7 must parse it.
    """
    has_code = any(not isinstance(node, (ast.Expr, ast.Assign)) for node in TREES[name].body)
    futures = [
        alias.name
        for node in TREES[name].body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    assert not has_code or "annotations" in futures or name == "bridge.__main__", name


@pytest.mark.parametrize("name", FILES)
def test_imports_stand_at_the_top(name):
    """An import in a function hides an import cycle; move the code to the right floor instead.

    __main__ is exempt: it checks Python's version before it imports the rest.
    """
    if name == "bridge.__main__":
        return
    inner = [
        (node.name, child.lineno)
        for node in ast.walk(TREES[name])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.walk(node)
        if isinstance(child, (ast.Import, ast.ImportFrom))
    ]
    assert not inner, f"{name}: {inner}"


def silent_handlers(tree):
    """Lines of broad handlers that ignore the exception, such as `except Exception: pass`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            idle = all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
            if broad and idle:
                yield node.lineno


@pytest.mark.parametrize("name", FILES)
def test_no_broad_handler_ignores_its_exception(name):
    assert not list(silent_handlers(TREES[name])), f"{name}:{list(silent_handlers(TREES[name]))}"


@pytest.mark.parametrize("name", FILES)
def test_only_bridge_cli_prints_and_exits(name):
    if name == "bridge.__main__" or name.startswith("bridge.cli"):
        return
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "exit", "quit", "input"), f"{name}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in (("sys", "exit"), ("os", "_exit")), (
                f"{name}:{node.lineno}"
            )


@pytest.mark.parametrize("name", FILES)
def test_no_module_has_a_name_without_meaning(name):
    assert not BANNED_NAMES & set(name.split("."))


def test_every_folder_is_a_package():
    for path in FILES.values():
        assert (path.parent / "__init__.py").exists(), (
            f"{path.parent} has no __init__.py: a zip would not import it"
        )


def test_a_class_name_names_one_thing():
    found: dict[str, list[str]] = {}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(name)
    assert not {name: places for name, places in found.items() if len(places) > 1}


# One module for each command, and the modules of the top level: their names say it.
WITHOUT_A_MAP = {"bridge", "bridge.cli.commands"}


@pytest.mark.parametrize(
    "name",
    [name for name in FILES if FILES[name].name == "__init__.py" and name not in WITHOUT_A_MAP],
)
def test_the_docstring_of_a_package_is_its_map(name):
    folder, text = FILES[name].parent, ast.get_docstring(TREES[name]) or ""
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    folders = {path.parent.name + "/" for path in folder.glob("*/__init__.py")}
    assert not {each for each in modules | folders if each not in text}


def test_the_design_names_what_is_there():
    """Each `folder/file.py` of DESIGN.md is a file, and each `file.py: name` stands in it."""
    text = (HOUSE / "DESIGN.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)(?:: (\w+))?`", text)
    sources = [path.as_posix() for path in [*HOUSE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]]
    wrong = []
    for path, name in named:
        found = [each for each in sources if each.endswith("/" + path)]
        if not any(not name or name in pathlib.Path(each).read_text() for each in found):
            wrong.append(f"{path}: {name}")
    assert len(named) > 20 and not wrong
