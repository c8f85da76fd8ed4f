"""Runs that a language model judges, over a real connection to a model that is a rule on the prompt."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import KEY, ChatServer, Messages, serving, status
from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language import endpoint
from rewardtree.preferences import open_store
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.protocols.setting import Setting
from rewardtree.studies.config import RunConfig, parse
from rewardtree.studies.installed import find_domain
from rewardtree.studies.judged import charged, judges_of, told
from rewardtree.studies.judged import facts as facts_of
from rewardtree.studies.report import render
from rewardtree.studies.results import results
from rewardtree.studies.run import command_of, same_figures
from rewardtree.studies.seed import ledger, own_store, train_seed

pytest.importorskip("httpx2")


def believer(messages: Messages) -> str | tuple[str, float]:
    """Looks one fact up, then prefers the answer that a helper's claim has; 70 % sure, and leaning towards A."""
    words = messages[-1]["content"]
    if "Which output is better, A or B?" not in words:
        return "READ A fact 0" if len(messages) == 2 and "READ A fact" in words else "DONE"
    answers = re.findall(r"The answer: (\d+)", words)
    claimed = re.findall(r"Helpers' claims.*?(\d+)(?: \[|\n|$)", words, re.S)
    right = [answer == claim for answer, claim in zip(answers, claimed, strict=False)]
    if len(right) < 2 or right[0] == right[1]:
        return "Both say the same. VERDICT: TIE"
    return ("One of them fits its claims. VERDICT: " + ("A" if right[0] else "B"), 0.8 if right[0] else 0.4)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with serving(ChatServer(rule=believer, key=KEY)) as up:
        yield up


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SOONEST", 0.01)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def config_of(server: ChatServer, **given: Any) -> RunConfig:
    reader = {"url": server.url, "model": "rule", "key_variable": "JUDGE_KEY", "price_prompt": 1.0, "attempts": 2}
    small = {
        "domain": "algorithms", "preset": "tiny", "options": {"depth": 1}, "helper_labels": 12, "root_labels": 12,
        "test_pairs": 8, "test_inputs": 8, "evaluator": "judge", "judge_model": "reader", "judge_calibration": 6,
        "judge_pairs": 8,
    }  # fmt: skip
    return parse(small | {"endpoints": {"reader": reader}} | given)


def train(config: RunConfig, out: Path) -> dict[str, Any]:
    """The tree alone, without what it must beat and without measurements."""
    out.mkdir(parents=True, exist_ok=True)
    domain, settings = find_domain(config.domain), config.settings(0)
    judges = judges_of(config, 0, out, lambda: "level_1")
    with open_store(own_store(config, out), run="key/0") as store:
        setting = Setting(build=domain.build, settings=settings, store=store, out=out, judges=judges,
                          people=config.people(lambda: "level_1", lambda node, now: None))  # fmt: skip
        nodes = recursive_reward_modeling.run(setting).nodes
        weights = {
            name: {key: np.asarray(one).tolist() for key, one in node.policy.weights.items()}
            for name, node in nodes.items()
        }
        return {"judge": facts_of(out, store), "ledger": charged(ledger(store), out, config, "rrm"), "weights": weights}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two trainings said and learnt the same; as text, since what nobody answered is no number."""
    return all(
        json.dumps(one[part], sort_keys=True) == json.dumps(other[part], sort_keys=True)
        for part in ("judge", "weights")
    )


@pytest.fixture(scope="module")
def run(server: ChatServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, Path, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUDGE_KEY", KEY)
        config, out = config_of(server), tmp_path_factory.mktemp("judged") / "seed-0"
        return config, out, train(config, out)


@pytest.fixture(scope="module")
def measured(run: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same run with all that stands around the tree, from the answers that are kept."""
    out = tmp_path_factory.mktemp("measured") / "seed-0"
    out.mkdir()
    shutil.copytree(run[1].parent / "answers", out.parent / "answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUDGE_KEY", KEY)
        return train_seed(find_domain("algorithms"), run[0], 0, out, "key/0", lambda record: None)


def test_a_tree_is_trained_on_a_judges_answers(run: Any, server: ChatServer) -> None:
    _, out, facts = run
    (own,) = [row for row in facts["ledger"] if row["evaluator"] == "judge/reader"]
    assert own["node"] == "level_1" and own["labels"] == 12 and own["condition"] == "assisted"
    assert own["requests"] == len(server.asked) > 30 and own["failed"] == 0
    assert own["cost"] == pytest.approx(own["prompt_tokens"] / 1e6) and own["prompt_tokens"] == 100 * own["requests"]
    assert {row["requests"] for row in facts["ledger"] if row is not own} == {0}
    judge = facts["judge"]["level_1"]
    assert judge["simulated"]["n"] == 12 and judge["unreadable"]["mean"] == 0.0 and judge["people"]["n"] == 0
    assert judge["lean"]["mean"] >= 0.0
    with open_store(out / "store.db", run="key/0") as store:
        (answers,) = [
            [one for given in store.answers(ids).values() for one in given]
            for ids in [[*json.loads((out / "judged/level_1/0-0.json").read_text())["ids"]]]
        ]
    assert all(one.rationale.startswith("first as A: ") and one.readings == 1 for one in answers)
    assert any(one.probability not in (0.0, 0.5, 1.0) for one in answers), "answers are probabilities"
    written = "".join(path.read_text(errors="replace") for path in out.parent.rglob("*") if path.is_file())
    assert KEY not in written and "JUDGE_KEY" not in written


def test_the_report_says_what_the_judge_did_and_cost(run: Any, measured: dict[str, Any]) -> None:
    config = run[0]
    found = results(config, "level_1", [measured], command=command_of(config), seconds=1.0)
    said = told(found)
    own, test = (next(row for row in found["ledger"] if row["evaluator"] == "judge/reader" and row["condition"] == kind)
                 for kind in ("assisted", "test"))  # fmt: skip
    judge = found["judge"]["level_1"]
    assert own["requests"] == 0 and test["node"] == "level_1" and test["labels"] == 0
    assert test["requests"] >= 4 * judge["accuracy_assisted"]["n"], "unaided and assisted, in both orders"
    assert re.match(
        rf"The judge made {test['requests']} requests \(0 more failed\): {test['prompt_tokens']} tok", said[0]
    )
    assert judge["accuracy_unaided"]["mean"] == 0.5, "it has nothing to go by, so says tie"
    assert 4 <= judge["accuracy_assisted"]["n"] <= 8 and judge["readings_assisted"]["mean"] <= 2.0
    assert re.match(r"At level_1 it is right on 50\s% unaided and .*%.* assisted, and names the same", said[1])
    assert re.match(r"At level_1 it agrees with \d+% of the simulated evaluator's answers; 0.0% of its", said[2])
    page = render(found)
    assert "Accuracy assisted" in page and "Consistent" in page
    assert "What the language model judged" in page and "judge/reader" in page
    assert found["protocols"]["recursive_reward_modeling"]["title"].endswith(", judged by a language model")


def test_it_goes_on_after_the_server_died_half_way(run: Any, server: ChatServer, tmp_path: Path) -> None:
    config, _, whole = run
    server.asked.clear()
    server.limit = 20
    with pytest.raises(LanguageError, match=r"in trouble .* answers so far are kept, so go on with the same command"):
        train(config, tmp_path / "seed-0")
    server.limit = None
    again = train(config, tmp_path / "seed-0")
    counts = [next(row for row in facts["ledger"] if row["requests"]) for facts in (whole, again)]
    assert counts[1]["requests"] == counts[0]["requests"] == len(server.asked), "nothing is paid for twice"
    assert counts[1]["failed"] > 0 and same(again, whole)


def test_a_run_is_repeated_from_its_answers_without_a_server(run: Any, server: ChatServer, tmp_path: Path) -> None:
    config, out, whole = run
    shutil.copytree(out.parent / "answers", tmp_path / "answers")
    asked = len(server.asked)
    server.faults = [status(500)] * 100
    again = train(config, tmp_path / "seed-0")
    server.faults = []
    assert same(again, whole) and len(server.asked) == asked


def test_a_share_goes_to_the_judge_and_people_have_it_beside_them(server: ChatServer, tmp_path: Path) -> None:
    facts = train(config_of(server, judge_share=0.5), tmp_path / "a" / "seed-0")
    labels = {row["evaluator"]: row["labels"] for row in facts["ledger"]
              if row["node"] == "level_1"}  # fmt: skip
    assert labels == {"assisted": 6, "judge/reader": 6}
    mixed = config_of(server, evaluator="mixed", people_wait=0.0, people_gold=0.0)
    facts = train(mixed, tmp_path / "b" / "seed-0")
    (own,) = [row for row in facts["ledger"] if row["evaluator"] == "judge/reader"]
    assert own["labels"] == 6
    beside = json.loads((tmp_path / "b/seed-0/judged/level_1/0-0-beside.json").read_text())
    assert len(beside["ids"]) == 6 and not beside["labels"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"judge_model": None}, "needs a language model; name one as judge_model"),
        ({"judge_model": "other"}, r"none of the endpoints \(reader\)"),
        ({"evaluator": "simulated"}, "asks none; set evaluator to judge or mixed"),
        ({"endpoints": {"reader": {"url": "http://a:b@c/v1", "model": "m"}}}, "holds no key"),
        ({"endpoints": {"reader": {"url": "http://c/v1", "model": "m", "api_key": "x"}}}, "unknown key"),
        ({"endpoints": {"reader": {"url": "http://c/v1"}}}, "endpoints.reader.model"),
    ],
)
def test_wrong_configurations_are_refused(server: ChatServer, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config_of(server, **given)


def test_where_an_endpoint_is_decides_no_figures_and_the_command_can_be_given_again(server: ChatServer) -> None:
    import shlex

    from rewardtree.cli.run import pairs

    here, there = config_of(server), config_of(server, endpoints={"reader": {"url": "http://b/v1", "model": "rule"}})
    other = config_of(server, endpoints={"reader": {"url": server.url, "model": "another"}})
    assert same_figures(here) == same_figures(there) != same_figures(other)
    words = shlex.split(command_of(here))
    given = pairs([words[i + 1] for i, word in enumerate(words) if word == "--set"])
    assert given["endpoints"] == {"reader": {"url": server.url, "model": "rule", "key_variable": "JUDGE_KEY",
                                             "price_prompt": 1.0, "attempts": 2}}  # fmt: skip
