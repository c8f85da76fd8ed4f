"""Endpoints, asked over a real connection: answers, faults, limits, and what is kept and counted."""

import json
import multiprocessing
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chat_server import KEY, ChatServer, dripping, half, raw, serving, slow, status
from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language import endpoint as module
from rewardtree.language.completing import Message, Options, Prompt
from rewardtree.language.endpoint import Client, Endpoint
from rewardtree.language.keeping import Kept, name_of
from rewardtree.language.pacing import Pace
from rewardtree.language.spending import Prices, Spent, note, noted
from rewardtree.language.wire import after

pytest.importorskip("httpx2")


def prompt(words: str) -> Prompt:
    return (Message(role="user", content=words),)


def ask(client: Client, *words: str, **given: Any) -> list[str]:
    return [one.text for one in client([prompt(word) for word in words], Options(**given))]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOONEST", 0.01)


@pytest.fixture(scope="module")
def up() -> Iterator[ChatServer]:
    with serving(ChatServer(rule=lambda messages: messages[-1]["content"].upper())) as server:
        yield server


@pytest.fixture
def server(up: ChatServer) -> ChatServer:
    """The same for all tests of this module, as new."""
    up.faults, up.key, up.limit, up.pause, up.asked, up.tries, up.most = [], None, None, 0.0, [], 0, 0
    return up


def client_of(server: ChatServer, folder: Path | None = None, **given: Any) -> Client:
    kept = {} if folder is None else {"kept": Kept(folder / "kept"), "spent": folder / "spent.jsonl"}
    return Client(Endpoint(**{"url": server.url, "model": "rule"} | given), **kept)


def test_prompts_are_answered_in_order_many_at_once_and_alike_ones_once(server: ChatServer, tmp_path: Path) -> None:
    server.pause = 0.05
    with client_of(server, tmp_path, at_once=3, prices=Prices(prompt=2.0, completion=10.0)) as client:
        asked = [f"w{i % 7}" for i in range(9)]
        assert ask(client, *asked, purpose="judging") == [word.upper() for word in asked]
    assert len(server.asked) == 7 and server.most == 3
    spent = noted(tmp_path / "spent.jsonl")["judging"]
    assert (spent.requests, spent.failed, spent.kept) == (7, 0, 0)
    assert (spent.prompt_tokens, spent.completion_tokens) == (700, 49)
    assert spent.cost == pytest.approx((700 * 2 + 49 * 10) / 1e6)


def test_what_was_answered_is_never_asked_again(server: ChatServer, tmp_path: Path) -> None:
    with client_of(server, tmp_path) as client:
        assert ask(client, "a", "b") == ["A", "B"]
    with client_of(server, tmp_path, url="http://127.0.0.1:9/v1", attempts=1) as client:
        found = client([prompt("b"), prompt("a")], Options(purpose="again"))
        assert [(one.text, one.kept, one.cost) for one in found] == [("B", True, 0.0), ("A", True, 0.0)]
        with pytest.raises(LanguageError, match="cannot be reached"):
            ask(client, "a", temperature=1.0)
    assert noted(tmp_path / "spent.jsonl")["again"] == Spent(kept=2)


def test_log_probabilities_are_read_and_kept(tmp_path: Path) -> None:
    with serving(ChatServer(rule=lambda messages: ("VERDICT: A", 0.75))) as server:
        for kept in (False, True):
            with client_of(server, tmp_path) as client:
                (one,) = client([prompt("which?")], Options(top=5))
            assert one.kept == kept and "".join(token.text for token in one.tokens) == "VERDICT: A"
            assert one.tokens[-1].top == pytest.approx({" A": -0.2877, " B": -1.3863}, abs=1e-4)
        with client_of(server, logprobs=False) as client:
            assert client([prompt("which?")], Options(top=5))[0].tokens == ()


@pytest.mark.parametrize(
    "fault",
    [half, raw("nonsense"), raw("{}"), raw('{"choices": []}'), raw('data: {"choices": [{"delta": {"content": "A'),
     raw('{"choices": [{"message": {"content": [1]}}]}'), raw("[]"), status(500), status(502),
     status(429, retry_after="0"), status(408)],
)  # fmt: skip
def test_passing_faults_are_outlived(server: ChatServer, tmp_path: Path, fault: Any) -> None:
    server.faults = [fault, fault]
    with client_of(server, tmp_path) as client:
        assert ask(client, "a", purpose="p") == ["A"]
    assert noted(tmp_path / "spent.jsonl")["p"] == Spent(requests=1, failed=2, prompt_tokens=100, completion_tokens=7)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (half, r"broke off half-way .*3 times in a row; see what its server does"),
        (raw("<html>"), r"no completion, 3 times in a row; see that the address ends"),
        (status(500, "oh"), r"is in trouble \(500: oh\), 3 times in a row; wait or restart"),
        (status(429), r"too fast \(429: no\), 3 times in a row; lower requests_a_minute"),
        (status(429, retry_after="4000"), r"too fast \(429: no\); lower"),
        (status(429, "insufficient_quota"), r"nothing is left to spend \(429.*\); top up the account"),
        (status(400, "no logprobs here"), r"does not take the request .*logprobs: false"),
        (status(401), r"refuses the key \(401: no\); put a valid one into a variable"),
        (status(307, location="https://elsewhere"), r"does not take the request \(307"),
        (dripping, r"did not answer within 0.2 s, 3 times in a row; raise timeout"),
        (slow(0.5), r"did not answer within 0.2 s, 3 times in a row; raise timeout"),
    ],
)  # fmt: skip
def test_lasting_faults_are_one_sentence_with_a_remedy(server: ChatServer, fault: Any, words: str) -> None:
    server.faults = [fault] * 3
    with client_of(server, attempts=3, timeout=0.2) as client, pytest.raises(LanguageError, match=words) as told:
        ask(client, "a")
    assert "\n" not in str(told.value)


def test_nothing_answered_is_lost_when_one_request_fails_for_good(server: ChatServer, tmp_path: Path) -> None:
    server.limit = 5
    asked = [f"w{i}" for i in range(12)]
    with (
        client_of(server, tmp_path, at_once=2, attempts=2) as client,
        pytest.raises(LanguageError, match="answers so far are kept, so go on with the same command"),
    ):
        ask(client, *asked)
    assert len(server.asked) == 5 and server.tries < 12
    server.limit = None
    with client_of(server, tmp_path) as client:
        assert ask(client, *asked) == [word.upper() for word in asked]
    assert len(server.asked) == 12


def test_nobody_is_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with Client(Endpoint(url=url, model="rule", attempts=2)) as client, pytest.raises(LanguageError) as told:
            ask(client, "a")
    assert re.search(r"cannot be reached .*2 times in a row; start its server or mend the address$", str(told.value))


def test_an_unknown_model_is_named(server: ChatServer) -> None:
    with (
        client_of(server, model="other") as client,
        pytest.raises(LanguageError, match=r"has no model 'other'.*\(404: no model other\); mend the model's name"),
    ):
        ask(client, "a")
    assert server.tries == 1


def test_keys_come_from_the_environment_and_are_written_nowhere(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    with pytest.raises(LanguageError, match="NO_SUCH_KEY, which is not set"):
        client_of(server, key_variable="NO_SUCH_KEY")
    monkeypatch.setenv("SOME_KEY", KEY)
    with client_of(server, tmp_path, key_variable="SOME_KEY") as client:
        assert ask(client, "a") == ["A"]
    monkeypatch.setenv("SOME_KEY", "sk-wrong")
    with (
        client_of(server, tmp_path, key_variable="SOME_KEY") as client,
        pytest.raises(LanguageError, match=r"refuses the key \(401: wrong key Bearer \*\*\*\); .* into \$SOME_KEY"),
    ):
        ask(client, "b")
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in written and "sk-wrong" not in written and "A" in written
    for url in ("http://user:pw@host/v1", "https://host/v1?key=1", "host/v1", "ftp://host"):
        with pytest.raises(ConfigError):
            Endpoint(url=url, model="rule")


def test_a_pause_that_the_server_asks_for_holds_for_everybody() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(requests=60.0, tokens=6000.0, clock=lambda: now[0], sleep=sleep)
    for tokens in (50, 50, 600):
        pace.wait(tokens)
    assert now[0] == 2.0, "a request a second"
    pace.settle(600, 100)  # it took a sixth of what was guessed
    pace.wait(50)
    assert now[0] == 3.0
    pace.pause(30.0)
    pace.wait(50)
    assert now[0] == 33.0


def test_waits_are_read_as_seconds_and_as_dates() -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert after({"retry-after": "7"}) == 7.0 and after({}) is None and after({"retry-after": "soon"}) is None
    assert after({"retry-after": "Tue, 01 Jan 2030 12:00:09 GMT"}, noon) == 9.0


def _keep(folder: Path, count: int) -> None:
    for i in range(count):
        asked = {"n": i}
        Kept(folder).put(name_of(asked), asked, {"text": "x" * 5000})
        note(folder / "spent.jsonl", "p", Spent(requests=1))


def test_several_processes_share_answers_and_accounts(tmp_path: Path) -> None:
    workers = [multiprocessing.get_context("fork").Process(target=_keep, args=(tmp_path, 40)) for _ in range(3)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        for path in tmp_path.glob("??/*.json"):
            assert json.loads(path.read_text())["answer"]["text"] == "x" * 5000, "whole or not there"
    for worker in workers:
        worker.join()
    assert noted(tmp_path / "spent.jsonl") == {"p": Spent(requests=120)}
    assert not list(tmp_path.rglob("*.partial")) and len(list(tmp_path.glob("??/*.json"))) == 40


def test_damage_is_outlived(tmp_path: Path) -> None:
    kept, asked = Kept(tmp_path), {"n": 1}
    kept.put(name_of(asked), asked, {"text": "x"})
    next(tmp_path.glob("??/*.json")).write_text('{"asked": ')
    assert kept.get(name_of(asked)) is None and kept.get(name_of({"n": 2})) is None
    note(tmp_path / "spent.jsonl", "p", Spent(kept=1))
    with (tmp_path / "spent.jsonl").open("a") as file:
        file.write('{"purpose": "p", "ke')
    assert noted(tmp_path / "spent.jsonl") == {"p": Spent(kept=1)}


def test_an_interrupt_does_not_wait_for_what_has_not_begun(server: ChatServer) -> None:
    server.faults = [status(503)] * 1000
    done = threading.Event()
    with client_of(server, attempts=50, at_once=2) as client:

        def run() -> None:
            with pytest.raises(LanguageError):
                ask(client, *[f"w{i}" for i in range(50)])
            done.set()

        thread = threading.Thread(target=run)
        thread.start()
        server.faults = [status(401)] * 1000
        assert done.wait(10.0)
        thread.join()
