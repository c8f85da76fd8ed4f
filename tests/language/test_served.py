"""A scorer over HTTP: the contract that learning engines rely on."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rewardtree.errors import LanguageError
from rewardtree.language import served
from rewardtree.language.scorer import Sample, Score
from rewardtree.language.served import app_of, serving

httpx2 = pytest.importorskip("httpx2")
TOKEN = "a-token-of-some-length"
SEEN: list[Sample] = []


def lengths(samples: Sequence[Sample]) -> list[Score]:
    SEEN.extend(samples)
    if any("burn" in one.output for one in samples):
        raise ValueError("secret words")
    if any("fewer" in one.output for one in samples):
        return []
    return [
        Score(value=float(len(one.ids or one.output)), spread=0.5, abstain=one.finish == "length") for one in samples
    ]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(lengths, TOKEN) as address:
        yield address


def post(url: str, body: Any, token: str = TOKEN, **given: Any) -> Any:
    return httpx2.post(f"{url}/score", headers={"Authorization": f"Bearer {token}"}, json=body, **given)


def test_a_batch_is_scored_in_order(url: str) -> None:
    samples = [{"prompt": "p", "output": "four"}, {"prompt": "", "output": "x", "ids": [1, 2], "finish": "length"}]
    found = post(url, {"samples": samples})
    assert found.status_code == 200
    assert found.json() == {"scores": [{"value": 4.0, "spread": 0.5, "abstain": False},
                                       {"value": 2.0, "spread": 0.5, "abstain": True}]}  # fmt: skip
    assert SEEN[-1] == Sample(prompt="", output="x", ids=(1, 2), finish="length")
    assert post(url, {"samples": []}).json() == {"scores": []}
    assert httpx2.get(f"{url}/ready", headers={"Authorization": f"Bearer {TOKEN}"}).json() == {"ready": True}


def test_nobody_without_the_token_gets_anything(url: str) -> None:
    for path in ("score", "ready", "docs", "openapi.json"):
        for token in ("no", "wrong", TOKEN + "x", "\u00fc"):
            sent, method = {"Authorization": f"Bearer {token}".encode()}, "POST" if path == "score" else "GET"
            assert httpx2.request(method, f"{url}/{path}", headers=sent).status_code == 401
        assert httpx2.get(f"{url}/{path}").status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"samples": [{"prompt": "p"}]}, 422), ({"samples": [{"prompt": 1, "output": "x"}]}, 422), ([], 422), ({}, 422),
        ({"samples": [{"prompt": "p", "output": "x", "more": 1}]}, 422),
        ({"samples": [{"prompt": "p", "output": "x", "finish": "late"}]}, 422),
        ({"samples": [{"prompt": "", "output": ""}] * (served.SAMPLES + 1)}, 422),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_refused(url: str, body: Any, status: int) -> None:
    assert post(url, body).status_code == status


def test_a_scorers_own_faults_are_told_and_do_not_end_it(url: str) -> None:
    burnt = post(url, {"samples": [{"prompt": "p", "output": "burn"}]})
    assert (burnt.status_code, burnt.json()) == (500, {"detail": "ValueError"})
    fewer = post(url, {"samples": [{"prompt": "p", "output": "fewer"}]})
    assert (fewer.status_code, fewer.json()) == (500, {"detail": "the scorer gave 0 scores to 1 samples"})
    assert post(url, {"samples": [{"prompt": "p", "output": "x"}]}).status_code == 200
    for value, spread in ((float("nan"), 0.0), (0.0, -1.0), (float("inf"), 0.0)):
        with pytest.raises(LanguageError, match="let it abstain"):
            Score(value=value, spread=spread)


def test_limits_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "app_of", lambda scorer, token: app_of(scorer, token, largest=200))
    with serving(lengths, TOKEN) as url:
        assert post(url, {"samples": [{"prompt": "p" * 300, "output": "x"}]}).status_code == 413
        chunks = httpx2.post(f"{url}/score", headers={"Authorization": f"Bearer {TOKEN}"}, content=iter([b"{}"]))
        assert chunks.status_code == 411
    with pytest.raises(LanguageError, match="16 characters"):
        app_of(lengths, "short")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LanguageError, match=r"cannot listen at 127\.0\.0\.1"), serving(lengths, TOKEN, port=port):
            pass


def test_another_process_scores_with_nothing_but_a_client(url: str) -> None:
    script = (
        "import json, sys, urllib.request as u\n"
        "body = json.dumps({'samples': [{'prompt': 'p', 'output': 'four', 'ids': [7, 8, 9]}]}).encode()\n"
        "head = {'Authorization': 'Bearer ' + sys.argv[2], 'Content-Type': 'application/json'}\n"
        "print(json.load(u.urlopen(u.Request(sys.argv[1] + '/score', body, head)))['scores'][0]['value'])"
    )
    done = subprocess.run([sys.executable, "-c", script, url, TOKEN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3.0"
