"""Who may import whom, how long a thing may be, what it may be called, and what stays light."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter import cli as import_linter

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "rewardtree"
MODULES = sorted(PACKAGE.rglob("*.py"))

MODULE_LINES = 400
FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
HEAVY = {"matplotlib", "numba", "ray", "scipy", "sqlalchemy", "torch", "transformers"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines_of_code(function: Function) -> int:
    """Lines from `def` to the end, the docstring left out: explaining is never too long."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def place(path: Path, line: int | None = None) -> str:
    return str(path.relative_to(ROOT)) + ("" if line is None else f":{line}")


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after it ran `arguments`."""
    report = "import atexit, json, sys; atexit.register(lambda: print('\\n' + json.dumps(list(sys.modules))))"
    script = f"{report}\n{arguments[0]}"
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments[1:]],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_rooms_import_only_downwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert import_linter.lint_imports(no_cache=True) == 0, (
        "run `lint-imports` to see which import breaks which contract"
    )


def test_modules_are_short() -> None:
    counts = {place(path): len(path.read_text().splitlines()) for path in MODULES}
    long = {where: count for where, count in counts.items() if count > MODULE_LINES}
    assert not long, f"split these modules, which have more than {MODULE_LINES} lines: {long}"


def test_functions_are_short() -> None:
    long = {
        f"{place(path, function.lineno)} {function.name}": lines_of_code(function)
        for path in MODULES
        for function in functions(path)
        if lines_of_code(function) > FUNCTION_LINES
    }
    assert not long, f"split these functions, which have more than {FUNCTION_LINES} lines: {long}"


def test_names_say_what_is_inside() -> None:
    named = [path.parent.name if path.name == "__init__.py" else path.stem for path in MODULES]
    vague = [place(path) for path, name in zip(MODULES, named, strict=True) if name.strip("_") in FORBIDDEN_NAMES]
    assert not vague, f"name these modules after what they hold: {vague}"


def test_every_room_is_a_package() -> None:
    bare = {place(path.parent) for path in MODULES if not (path.parent / "__init__.py").exists()}
    assert not bare, f"these folders need an __init__.py with a docstring: {bare}"


def test_numba_kernels_are_left_alone_by_the_shape_checks() -> None:
    """The import hook of jaxtyping would wrap what numba compiles; `typing.no_type_check` keeps it out."""
    wrapped = []
    for path in MODULES:
        for function in functions(path):
            marks = " ".join(ast.unparse(mark) for mark in function.decorator_list)
            compiled = any(word in marks for word in ("jit", "vectorize", "stencil"))
            if compiled and "torch" not in marks and "no_type_check" not in marks:
                wrapped.append(f"{place(path, function.lineno)} {function.name}")
    assert not wrapped, f"write @no_type_check below the numba decorator of {wrapped}"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("import rewardtree",), id="import"),
        pytest.param(("from rewardtree.cli import main; main()", "--help"), id="help"),
        pytest.param(("from rewardtree.cli import main; main()", "--version"), id="version"),
    ],
)
def test_starting_is_light(arguments: tuple[str, ...]) -> None:
    loaded = imported_by(*arguments)
    assert "rewardtree" in loaded
    assert not loaded & HEAVY, "import these inside the functions that need them"
