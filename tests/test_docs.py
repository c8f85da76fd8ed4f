"""Runs the examples of README.md and docs/**/*.md.

The info string of every `python`, `bash` and `console` block says what becomes of it:

- `run`: run here;
- `run slow`: run with the slow tests only;
- `no-run`: not run, for instance because it needs a person or a cluster.

The blocks of a page run in their order, in one temporary folder; its Python blocks share their names. A
Python block is a script, or a doctest where it begins with `>>>`. A bash block must exit with 0. In a
console block a line that begins with `$ ` is a command, which must exit with 0; lines below it, if any, are
its output and error stream, `...` standing for anything and white space counting as one blank.
"""

import doctest
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator, OutputChecker
from sybil.evaluators.python import PythonEvaluator
from sybil.example import SybilFailure
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]
MARKS = {"run", "run slow", "no-run"}
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS = 900  # after which a command of a page counts as hung

LEXER = FencedCodeBlockLexer(r"(?:python|bash|console)\b[^\n]*", {"language": "info", "source": "source"})
RUN_DOCTEST = DocTestStringParser(DocTestEvaluator(LENIENT))
RUN_PYTHON = PythonEvaluator()


def language_and_mark(region: Region) -> tuple[str, str]:
    language, _, mark = region.lexemes["info"].partition(" ")
    return language, mark.strip()


def shell(command: str) -> str:
    """Run `command` with this interpreter's scripts first on the path; its output, error stream included."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=os.environ | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}\nexited with {done.returncode}:\n{done.stdout}"
    return done.stdout


def run_bash(example: Example) -> None:
    shell(example.parsed)


def console_steps(source: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output shown below it."""
    steps: list[tuple[str, str]] = []
    for line in source.splitlines():
        command, shown = steps[-1] if steps else ("", "")
        if command.endswith("\\") and not shown:
            steps[-1] = (f"{command}\n{line}", "")
        elif line.startswith("$ "):
            steps.append((line.removeprefix("$ "), ""))
        else:
            assert steps, f"a console block begins with '$ ' and a command, not with {line!r}"
            steps[-1] = (command, f"{shown}{line}\n")
    return steps


def run_console(example: Example) -> str | None:
    for command, shown in console_steps(example.parsed):
        got = shell(command)
        if shown.strip() and not OutputChecker().check_output(shown, got, LENIENT):
            return f"$ {command}\nshows\n{got}\nbut the page says\n{shown}"
    return None


@dataclass(frozen=True, kw_only=True)
class RunnableBlocks:
    """A parser for sybil: the blocks of a page that are to run; the slow ones among them where `slow`."""

    slow: bool

    def __call__(self, document: Document) -> Iterable[Region]:
        for region in LEXER(document):
            language, mark = language_and_mark(region)
            source = region.lexemes["source"]
            if mark != "run" and not (mark == "run slow" and self.slow):
                continue
            if language == "python" and source.startswith(">>>"):
                for example in RUN_DOCTEST(source, document.path):
                    example.adjust(region, source)
                    yield example
                continue
            region.parsed = source
            region.evaluator = {"python": RUN_PYTHON, "bash": run_bash, "console": run_console}[language]
            yield region


def run_page(page: Path, *, slow: bool) -> int:
    """Run the page's blocks in the current folder; how many examples that were."""
    document = Sybil([RunnableBlocks(slow=slow)]).parse(page)
    document.namespace["__name__"] = "__main__"
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    return len(examples)


def marks(page: Path) -> list[str]:
    return [language_and_mark(region)[1] for region in LEXER(Document(page.read_text(), str(page)))]


def with_mark(mark: str) -> list[object]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if mark in marks(page)]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_block_says_whether_it_runs(page: Path) -> None:
    unclear = [mark for mark in marks(page) if mark not in MARKS]
    assert not unclear, f"write one of {sorted(MARKS)} after the language of the block, not {unclear}"


@pytest.mark.parametrize("page", with_mark("run"))
def test_the_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, slow=False) > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", with_mark("run slow"))
def test_all_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, slow=True) > 0


GOOD = """
```python run
from pathlib import Path

names = ["a", "b"]
```
```python no-run
raise AssertionError
```
```python run slow
Path("slow").touch()
```
```python run
>>> len(names), 0.123456
(2, 0...)
>>> Path("names").write_text("".join(names))
2
```
```bash run
test -f names
```
```console run
$ cat \\
  names; echo
ab
$ python -c 'print("x" * 100)'
xx...x
```
"""


@pytest.mark.parametrize("slow", [False, True])
def test_a_good_page_runs(slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(GOOD)
    assert run_page(tmp_path / "page.md", slow=slow) == 5 + slow
    assert (tmp_path / "slow").exists() == slow


@pytest.mark.parametrize(
    ("info", "source", "error"),
    [
        ("python run", "assert 1 == 2", AssertionError),
        ("python run", ">>> 1 + 1\n3", SybilFailure),
        ("bash run", "false\ntrue", AssertionError),
        ("console run", "$ false", AssertionError),
        ("console run", "$ echo a\nb", SybilFailure),
        ("console run", "echo a", AssertionError),
    ],
)
def test_a_bad_page_fails(info: str, source: str, error: type[Exception], tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"```{info}\n{source}\n```\n")
    with pytest.raises(error):
        run_page(tmp_path / "page.md", slow=False)
