"""Going on with books: openings, what readers are shown, learning from their answers alone, and what a report says."""

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_up_books import write_books
from rewardtree.domains.continuation import nodes as continuation_nodes
from rewardtree.domains.continuation.continuing import ContinuationTask
from rewardtree.domains.continuation.domain import DOMAIN
from rewardtree.errors import ConfigError, LanguageError, RunError, TaskError
from rewardtree.language.completing import Completion, Options, Prompt
from rewardtree.language.encoding import lengths
from rewardtree.policies.gradient import Ascent
from rewardtree.preferences import open_store
from rewardtree.preferences.labelling import open_labelling
from rewardtree.protocols import flat_reward_modeling, recursive_reward_modeling
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.rewards.language import Fitting, LanguageRewardModel
from rewardtree.studies import judged, readers
from rewardtree.studies.config import RunConfig, parse
from rewardtree.studies.report import render
from rewardtree.studies.results import results
from rewardtree.studies.run import same_figures
from rewardtree.studies.seed import TREE, train_seed
from rewardtree.studies.trained import load_policy, load_reward_model
from rewardtree.tasks.board import unpack
from rewardtree.tasks.task import SPLITS, Measured, Readable, Task
from rewardtree.tree import asking
from rewardtree.tree.asking import People
from rewardtree.tree.check import check
from rewardtree.tree.judging import Judges
from rewardtree.tree.node import Node
from tiny_language import needs_lm, tiny_model

NODE = "continuation"
STAND_IN = Path(__file__).parents[2] / "policies" / "engine_stand_in.py"
ARROW = "\N{RIGHTWARDS ARROW} "


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    needs_lm()
    folder = tmp_path_factory.mktemp("continuation")
    options = {"books": str(write_books(folder / "books")), "words": 10, "tokens": 6}
    return {
        "domain": NODE, "preset": "tiny", "options": options, "root_labels": 24, "test_inputs": 8,
        "models": {NODE: str(tiny_model(folder / "model", spread=0.05))},
    }  # fmt: skip


def node_of(config: RunConfig) -> Node:
    return DOMAIN.build(config.settings(0)).nodes[NODE]


@pytest.fixture(scope="module")
def task(given: dict[str, Any]) -> ContinuationTask:
    found = node_of(parse(given)).task
    assert isinstance(found, ContinuationTask)
    return found


def likes(wanted: str) -> Any:
    """A reader who prefers the continuation that has something more often."""

    def complete(prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        found = []
        for prompt in prompts:
            parts = re.split(r"Output [AB]:", prompt[-1].content)[1:]
            written = [part.partition(ARROW)[2].partition("\n\nWhich output")[0] for part in parts]
            one, other = (len(re.findall(wanted, text)) for text in written)
            found.append(Completion(text=f"VERDICT: {'A' if one > other else 'B' if other > one else 'TIE'}"))
        return found

    return complete


def setting_of(config: RunConfig, out: Path, store: Any, **more: Any) -> Setting:
    out.mkdir(parents=True, exist_ok=True)
    judges = Judges(nodes=frozenset({NODE}), complete=likes("[a-z]"), name="judge/az")
    return Setting(build=DOMAIN.build, settings=config.settings(0, out), store=store, out=out,
                   **{"judges": judges} | more)  # fmt: skip


def test_openings_are_of_other_books_in_every_split_and_go_on_in_them(task: ContinuationTask) -> None:
    seen = {}
    for split in SPLITS:
        inputs = task.sample(np.random.default_rng(0), 12, split)
        seen[split] = {one["book"] for one in inputs.digest()}
        assert task.source.encoder.texts(inputs.ids) == inputs.prompts == [one["text"] for one in inputs.digest()]
        assert inputs.take(np.array([3, 3])).digest() == [inputs.digest()[3]] * 2
        for row in range(12):
            cut = inputs.cut(row)
            assert cut.after[0] in " \n" and cut.after.strip() and 5 <= len(cut.before.split()) <= 10
            assert cut.after.startswith(task.source.encoder.texts(inputs.take(np.array([row])).own)[0])
    assert len(set.union(*seen.values())) == sum(map(len, seen.values())) == 5
    assert isinstance(task, Task) and isinstance(task, Readable) and not isinstance(task, Measured)


def test_readers_see_the_opening_and_how_it_goes_on(task: ContinuationTask) -> None:
    rng = np.random.default_rng(0)
    inputs = task.sample(rng, 3, "test")
    outputs = task.base_outputs(rng, inputs)
    outputs.ids[0, -1] = task.source.encoder.model.end
    whole, cut_off = (task.board(inputs, outputs, row)[0].data for row in (0, 1))
    assert whole == f"{inputs.cut(0).before}\n\n{ARROW}{task.made(inputs, outputs, 0)}"
    assert cut_off.endswith("\N{HORIZONTAL ELLIPSIS}") and not whole.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert lengths(task.originals(inputs).ids).max() <= 6
    again = replace(task, source=replace(task.source, encoder=replace(task.source.encoder, style="chat")))
    assert again.sample(rng, 1, "test").prompts[0].startswith("Go on with this text")
    measures = task.measures(inputs, task.originals(inputs))
    assert (measures["words"] > 0).all() and not measures["said_twice"].any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shelf": 3}, "knows the options books, style, words, tokens, not shelf"),
        ({"words": 2}, "options.words = 2: give a whole number, 4 or more"),
        ({"style": "prose"}, "options.style = 'prose': give one of plain, chat"),
        ({"words": 200}, r"tokens and 6 more are too many for .*; lower options.words or"),
        ({"words": 5000}, "the train books in .* have no two passages of 5000 words in a row"),
    ],
)
def test_wrong_options_are_named(given: dict[str, Any], options: dict[str, Any], said: str) -> None:
    config = parse(given | {"options": given["options"] | options})
    with pytest.raises(ConfigError, match=said):
        node_of(config).task.sample(np.random.default_rng(0), 1, "train")


def test_nobody_is_simulated_where_there_is_no_true_reward(given: dict[str, Any], tmp_path: Path) -> None:
    tree = DOMAIN.build(parse(given).settings(0))
    with pytest.raises(TaskError, match=r"continuation has no true reward to measure by; .* evaluator=human"):
        check(tree, pairs=8)
    with open_store(tmp_path / "store.db") as store:
        setting = setting_of(parse(given), tmp_path / "seed-0", store)
        for less in (None, replace(setting.judges, share=0.5), replace(setting.judges, nodes=frozenset())):  # type: ignore[arg-type, type-var]
            with pytest.raises(TaskError, match="no evaluator of it can be simulated; have all of its comparisons"):
                recursive_reward_modeling.run(replace(setting, judges=less))
        with pytest.raises(TaskError, match="no evaluator of it can be simulated"):
            flat_reward_modeling.run(setting, "expert", None)


def test_readers_are_asked_in_the_end_and_leave_no_labels(given: dict[str, Any], tmp_path: Path) -> None:
    config = parse(given | {"judge_pairs": 6, "model_updates": 1})
    with open_store(tmp_path / "store.db", run="key/0") as store:
        setting = setting_of(config, tmp_path / "seed-0", store)
        outcome = recursive_reward_modeling.run(setting)
        found = readers.facts(outcome, setting, config)
        (row,) = store.ledger()
    assert (row.evaluator, row.labels, row.condition) == ("judge/az", 24, "unaided")
    wins = found["readers"]["wins"]
    assert wins["original over untrained"].keys() == {"judge/az", "reward model"} and len(wins) == 3
    compared, made = readers._outputs(outcome, setting, 6)
    letters = {who: [len(re.findall("[a-z]", compared.node.task.made(compared.inputs, one, row))) for row in range(6)]
               for who, one in made.items()}  # fmt: skip
    ahead = np.sign(np.array(letters["original"]) - letters["untrained"])
    assert wins["original over untrained"]["judge/az"]["mean"] == pytest.approx((0.5 + 0.5 * ahead).mean()) != 0.5
    assert {one["mean"] for one in found["readers"]["consistent"].values()} == {1.0} and len(found["examples"]) == 6


@pytest.mark.slow
def test_what_readers_like_is_learnt(given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that writes letters of a few words learns from answers alone which word a reader likes."""
    from toy_letters import letter_model

    letter_model(tmp_path)
    monkeypatch.setattr(continuation_nodes, "ascent_of",
                        lambda *_: Ascent(updates=12, inputs=8, samples=8, beta=0.02, rate=5e-3))  # fmt: skip
    monkeypatch.setattr(continuation_nodes, "fitting_of", lambda _: Fitting(epochs=4, pairs=16, rate=3e-3))
    options = given["options"] | {"words": 4}
    config = parse(given | {"root_labels": 100, "judge_pairs": 32, "options": options,
                            "models": {NODE: str(tmp_path / "letters")}})  # fmt: skip
    with open_store(tmp_path / "store.db", run="key/0") as store:
        setting = setting_of(config, tmp_path / "seed-0", store)
        setting = replace(setting, judges=replace(setting.judges, complete=likes("abbey")))  # type: ignore[arg-type, type-var]
        found = readers.facts(recursive_reward_modeling.run(setting), setting, config)
    share = found["readers"]["wins"]["trained over untrained"]["judge/az"]
    assert share["mean"] - 1.96 * share["error"] > 0.55, share


def test_people_are_asked_in_both_orders(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked of what is trained on, and in the end which policy's output is better; there is nothing golden."""
    monkeypatch.setattr(asking, "LOOK", 0.01)
    config = parse(given | {"root_labels": 6, "judge_pairs": 8, "model_updates": 1})
    people = People(nodes=frozenset({NODE}), gold=1.0, repeats=0.0, wait=30.0)
    ends, orders = threading.Event(), set()

    def answer() -> None:
        while not ends.is_set():
            work = desk.next("ada")
            if work is None:
                time.sleep(0.01)
                continue
            assert work.comparison.fields is not None and work.comparison.purpose == "training"
            shown = unpack(work.comparison.fields)
            words = [shown[side]["board"]["data"].partition(ARROW)[2] for side in ("first", "second")]
            orders.add(work.comparison.protocol)
            better = len(words[0]) > len(words[1]) or (len(words[0]) == len(words[1]) and words[0] > words[1])
            desk.answer("ada", work.token, "first" if better else "second")

    with open_store(tmp_path / "labels.db", run="key/0") as store:
        desk = open_labelling(tmp_path / "labels.db", "key")
        reader = threading.Thread(target=answer)
        reader.start()
        try:
            setting = setting_of(config, tmp_path / "seed-0", store, judges=None, people=people)
            outcome = recursive_reward_modeling.run(setting)
            found = readers.facts(outcome, setting, config)
        finally:
            ends.set()
            reader.join()
            desk.close()
    task: Any = outcome.tree.nodes[NODE].task
    compared, made = readers._outputs(outcome, setting, 8)
    words = {who: [task.made(compared.inputs, one, row) for row in range(8)] for who, one in made.items()}
    longer = [(len(a), a) > (len(b), b) if a != b else 0.0
              for a, b in zip(words["trained"], words["untrained"], strict=True)]  # fmt: skip
    share = found["readers"]["wins"]["trained over untrained"]["people"]
    assert share["n"] == 8 and orders == {TREE, "readers"}
    swapped = sum(a == b for a, b in zip(words["trained"], words["untrained"], strict=True))
    assert abs(8 * share["mean"] - sum(longer)) <= swapped


@pytest.fixture(scope="module")
def facts(given: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, dict[str, Any]]:
    """All of a seed, judged by the model that made it."""
    config, out = parse(given | {"judge_model": given["models"][NODE]}), tmp_path_factory.mktemp("whole") / "seed-0"
    out.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        judges = Judges(nodes=frozenset({NODE}), complete=likes("[a-z]"), name="judge/az")
        patch.setattr(judged, "judges_of", lambda *_: judges)
        return config, train_seed(DOMAIN, config, 0, out, "key/0", lambda record: None)


def test_a_report_says_what_readers_prefer_and_claims_no_truth(facts: tuple[RunConfig, dict[str, Any]]) -> None:
    config, found = facts
    assert "true_reward" not in json.dumps(found) and "accuracy_by_budget" not in json.dumps(found)
    whole = results(config, NODE, [found], command="rewardtree run continuation", seconds=1.0)
    html = render(json.loads(json.dumps(whole)))
    assert "do readers prefer it after training?" in html and "has no true reward" in html
    sections = re.findall(r'<section id="(\w+)"', html)
    assert sections[0] == "readers" and not {"accuracy", "protocols", "curves", "errors", "tree"} & set(sections)
    assert html.count("<h3>E Made Up, under new names") == 6 and "before training" in html


@pytest.mark.parametrize(("engine", "last"), [("verl", 1), pytest.param("native", 2, marks=pytest.mark.slow)])
def test_an_engine_that_the_configuration_names_improves_the_policy(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, last: int
) -> None:
    """It dies, the run goes on where it was, and policies of all iterations are read back from what it left."""
    pytest.importorskip("fastapi")
    how = {"engine": engine, "prompts": 2, "samples": 2, "checkpoint": 1, "rate": 1e-2}
    how |= {"command": [sys.executable, str(STAND_IN)]} if engine == "verl" else {}
    config = parse(given | {
        "engines": {NODE: how}, "model_updates": 3, "root_labels": 4, "root_iterations": last,
        "options": given["options"] | {"style": "chat"},
    })  # fmt: skip
    run, out = tmp_path, tmp_path / "seed-0"
    (run / "config.json").write_text(json.dumps(config.model_dump(mode="json")))

    def trained() -> Outcome:
        with open_store(out / "store.db", run="key/0") as store:
            return recursive_reward_modeling.run(setting_of(config, out, store))

    out.mkdir()
    if engine == "verl":
        monkeypatch.setenv("STAND_IN_DIES_AT", "2")
        with pytest.raises(LanguageError, match=r"verl ended with signal 9 \(OutOfMemory: no room\)"):
            trained()
        monkeypatch.delenv("STAND_IN_DIES_AT")
    policy = trained().nodes[NODE].policy
    version = f"{TREE}/{NODE}/{last}"
    assert policy.version == version and not policy.weights and (out / "engines" / version).is_dir()
    if engine == "verl":
        told = (out / "engines" / TREE / NODE / "1" / "engine" / "rewards.jsonl").read_text().splitlines()
        assert len(told) == 4, "the step in which it died is the only one that was done again"
    base = node_of(config).learner.initial(np.random.default_rng(0)).model.net.state_dict()
    moved = max(float((policy.model.net.state_dict()[name] - value).abs().max()) for name, value in base.items())
    assert moved == pytest.approx(0.03, abs=1e-5) if engine == "verl" else moved > 0
    again = load_policy(run)
    assert again.version == version
    now = again.model.net.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in policy.model.net.state_dict().items())
    assert isinstance(load_reward_model(run), LanguageRewardModel)
    shutil.rmtree(out / TREE / NODE / f"iteration-{last - 1:03d}")
    assert trained().nodes[NODE].policy.version == version, "an iteration whose engine had ended goes on after it"
    shutil.rmtree(out / "engines")
    with pytest.raises(RunError, match=r"the model that an engine left in .* is gone; restore that folder"):
        load_policy(run)
    mended = config.model_copy(update={"engines": {NODE: config.engines[NODE].model_copy(update={"host": "0.0.0.0"})}})
    assert same_figures(mended) == same_figures(config)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"engines": {"nobody": {"engine": "trl"}}}, "no node of continuation that can write; those that do are cont"),
        ({"engines": {NODE: {"engine": "verl"}}}, r"engines.continuation: the engine verl is a process .*: command\)"),
        ({"engines": {NODE: {"engine": "native", "method": "grpo"}}}, "engines.continuation: the native engine has no"),
        ({"engines": {NODE: {"engine": "vllm"}}}, r"engines.continuation.engine = 'vllm': input should be"),
        ({"rewards": {"nobody": "tiny"}}, "rewards.nobody: this is no node of continuation that can read words"),
        ({"rewards": {NODE: "reader"}}, "rewards.continuation = 'reader' is an endpoint, which gives words and no"),
    ],
)  # fmt: skip
def test_what_engines_and_reward_models_cannot_be_is_said(given: dict[str, Any], more: Any, said: str) -> None:
    endpoint = {"endpoints": {"reader": {"url": "http://127.0.0.1:1", "model": "any"}}}
    with pytest.raises(ConfigError, match=said):
        parse(given | endpoint | more)


def test_models_that_cannot_learn_here_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    endpoint = {"endpoints": {"reader": {"url": "http://127.0.0.1:1", "model": "any"}}, "models": {NODE: "reader"}}
    with pytest.raises(ConfigError, match="whose weights are not ours to improve"):
        node_of(parse(given | endpoint))
    other = {"rewards": {NODE: str(tiny_model(tmp_path / "other", seed=1))}}
    with pytest.raises(ConfigError, match=r"engines hand over tokens of .*; leave rewards.continuation out"):
        node_of(parse(given | other | {"engines": {NODE: {"engine": "native"}}}))
    node = node_of(parse(given | other))
    inputs = node.task.sample(np.random.default_rng(0), 2, "train")
    assert node.observe is not None
    rows = node.observe(inputs, node.task.base_outputs(np.random.default_rng(0), inputs), {})
    assert rows.shape[0] == 2 and node.reward_learner.initial(0, torch.Generator()).score(rows)[0].shape == (2,)
