"""What is wrong with a run's input or its endpoint is one line and exit code 2; nothing is lost, `resume` goes on."""

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chat_server import ChatServer, Messages, half, serving, slow, status
from made_up_books import write_books
from rewardtree import cli
from rewardtree.errors import RewardtreeError
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.studies import run, seed
from tiny_language import needs_lm, tiny_model

pytest.importorskip("httpx2")


def told(words: Sequence[str]) -> str:
    """The one line that a command ends with, as it fails with 2."""
    done = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.output
    assert "Traceback" not in done.output
    return done.output.strip().splitlines()[-1]


def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds in this process: what comes back from one of their own is tested with a book below."""

    class Pool:
        _processes: Any = None

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> "Pool":
            return self

        def __exit__(self, *_: Any) -> None: ...

        def shutdown(self, **_: Any) -> None: ...

        def submit(self, work: Callable[..., Any], *given: Any) -> Any:
            from concurrent.futures import Future

            future: Future[Any] = Future()
            try:
                future.set_result(work(*given))
            except Exception as error:
                future.set_exception(error)
            return future

    monkeypatch.setattr(run, "ProcessPoolExecutor", Pool)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a_made_up.txt", b"", "the book is empty; remove it, or put the whole book in its place"),
        ("a_made_up.txt", b"\x7fELF\0\1", "it is binary, no text; give plain text or an EPUB"),
        ("a_made_up.txt", "Chapter 1\ncaf\u00e9".encode("latin-1"), ":2: it is not UTF-8; save the text as UTF-8"),
        ("a_made_up.epub", b"no zip", "it is no EPUB (File is not a zip file); fetch or copy it again"),
        ("a_made_up.epub", None, "it is no EPUB"),
    ],
)
def test_a_bad_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: Any, said: str) -> None:
    books = write_books(tmp_path / "books")
    (books / "a_made_up.txt").unlink()
    if content is None:
        zipfile.ZipFile(books / name, "w").close()
    else:
        (books / name).write_bytes(content)
    one_after_the_other(monkeypatch)
    options = json.dumps({"books": str(books), "shelf": 64})
    line = told(["run", "novels", "--preset", "tiny", "--set", f"options={options}", "--out", tmp_path / "run"])
    assert line.startswith(str(books / name)) and said in line


@pytest.mark.slow
def test_an_error_of_a_seeds_own_process_keeps_its_words(tmp_path: Path) -> None:
    books = write_books(tmp_path / "books")
    (books / "a_made_up.txt").write_bytes(b"")
    options = json.dumps({"books": str(books), "shelf": 64})
    line = told(["run", "novels", "--preset", "tiny", "--set", f"options={options}", "--out", tmp_path / "run"])
    assert line == f"{books / 'a_made_up.txt'}: the book is empty; remove it, or put the whole book in its place"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models.continuation=nobody"], "models.continuation = 'nobody' names no language model: it is none of the"),
        (["models.continuation=no/where"], "is not on this machine and the hub cannot be reached; give a folder"),
        (["models.continuation=decoder"], "'decoder' is not on this machine; train it, some minutes, by: rewardtree"),
        (["judge_model=minilm"], "judge_model = 'minilm' turns texts into vectors and writes no words"),
        (["judge_model={plain}"], "has no chat template, so that nothing can be asked of it; name a model that was"),
        (["models.continuation={plain}", "options.style=chat"], "has no chat template; use the style 'plain'"),
        (["models.continuation={empty}"], "holds no config.json, so no model; name the folder that save_pretrained wr"),
        (["judge_model=null", "evaluator=simulated"], "continuation has no true reward, so that no evaluator of it"),
    ],
)  # fmt: skip
def test_a_bad_language_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:  # fmt: skip
    """Named wrongly, out of reach without a network, without what it takes, or missing where nobody else can judge."""
    needs_lm()
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "cache"))
    one_after_the_other(monkeypatch)
    (tmp_path / "empty").mkdir()
    folders = {"empty": tmp_path / "empty", "plain": tmp_path / "plain"}
    if any("{plain}" in word for word in words):
        tiny_model(folders["plain"], chat=False)
    given = [f"options.books={write_books(tmp_path / 'books')}", *(word.format(**folders) for word in words)]
    sets = [part for word in given for part in ("--set", word)]
    line = told(["run", "continuation", "--preset", "tiny", *sets, "--out", tmp_path / "run"])
    assert said in line, line


FAULTS = (
    (status(500, "oh"), "is in trouble (500: oh), 2 times in a row; wait or restart its server"),
    (half, "broke off half-way"),
    (slow(0.6), "did not answer within 0.3 s, 2 times in a row; raise timeout"),
)
"""The others are in tests/language/test_endpoint.py."""


@pytest.mark.slow
def test_an_endpoint_at_fault_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tree_alone(setting: Any, clock: Any) -> list[Any]:
        recursive_reward_modeling.run(setting)
        raise RewardtreeError("far enough")

    one_after_the_other(monkeypatch)
    monkeypatch.setattr(seed, "train_protocols", tree_alone)
    monkeypatch.setattr(seed, "live_accuracy", lambda *_: {})
    monkeypatch.setattr("rewardtree.language.endpoint.SOONEST", 0.01)
    out, server = tmp_path / "run", ChatServer(rule=rule)
    with serving(server) as up:
        reader = {"url": up.url, "model": "rule", "attempts": 2, "timeout": 0.3, "at_once": 1}
        config = {"preset": "tiny", "options": {"depth": 1}, "helper_labels": 12, "root_labels": 12,
                  "evaluator": "judge", "judge_model": "reader", "judge_calibration": 4,
                  "endpoints": {"reader": reader}}  # fmt: skip
        (tmp_path / "judged.yaml").write_text(json.dumps(config))
        words = ["run", "algorithms", "--config", tmp_path / "judged.yaml", "--out", out]
        for number, (fault, said) in enumerate(FAULTS):
            server.faults = [fault] * 2
            line = told(["resume", out] if number else words)
            assert line.startswith(f"the endpoint {up.url} ") and said in line, line
            assert line.endswith("answers so far are kept, so go on with the same command")
        server.limit = 9
        assert "is in trouble (503: gone)" in told(["resume", out]) and len(server.asked) == 9
        server.limit = None
        assert told(["resume", out]) == "far enough"
    asked = [json.dumps(body, sort_keys=True) for body in server.asked]
    assert len(asked) > 20 and len(set(asked)) == len(asked), "nothing is asked twice"
    assert "cannot be reached" in told(["run", "algorithms", "--config", tmp_path / "judged.yaml", "--out", out / "2"])


def rule(messages: Messages) -> str:
    return "VERDICT: A" if "better, A or B?" in messages[-1]["content"] else "DONE"
