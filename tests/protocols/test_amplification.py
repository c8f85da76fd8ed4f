"""Amplification and its yardstick: H' is learnt from demonstrations, X from H' and X, nothing is done twice."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.domains.algorithms.assignments import Assignments
from rewardtree.domains.algorithms.domain import DOMAIN, family_of
from rewardtree.domains.algorithms.finding import Finding
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.powering import Powering
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import Demonstration, Store, open_store
from rewardtree.protocols import amplification, supervised
from rewardtree.protocols.amplification import (
    Imitation,
    Move,
    Stage,
    amplify,
    askable,
    concludable,
    curriculum,
    demonstrate,
    explaining,
    imitate,
)
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import Answerer, Decomposition, one_each, truth
from rewardtree.tree.checkpoint import folder, load_weights
from rewardtree.tree.domain import Settings
from rewardtree.tree.measure import policy_rewards
from rewardtree.tree.node import Budget

FAMILIES: list[Decomposition] = [Powering(), Finding(), Assignments(), Wildcards(), Paths()]
each = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
TINY = {"task": "powering", "depth": 1, "size": 7, "layers": 2, "width": 32}


def knowing(family: Decomposition) -> Answerer:
    """X that is always right."""
    return lambda level, asked: truth(family, level, asked)


def guessing(family: Decomposition, seed: int = 0) -> Answerer:
    """X that knows nothing yet."""
    rng = np.random.default_rng(seed)
    return lambda level, asked: rng.choice(np.flatnonzero(family.allowed(level)), len(asked))


def learnt(family: Decomposition, count: int, x: Answerer, *, lapse: float = 0.02, seed: int = 0) -> dict[int, Any]:
    rng = np.random.default_rng(seed)
    return {
        level: imitate(family, level, demonstrate(family, level, count, x, lapse, rng), rng)
        for level in range(1, family.depth + 1)
    }


def test_one_demonstration_can_be_explained_in_several_ways_and_dozens_in_one() -> None:
    family = Powering()
    kept = []
    for count in (1, 60):
        shown = demonstrate(family, 2, count, knowing(family), 0.05, np.random.default_rng(0))
        second = [demonstration["parts"][1] for demonstration in shown]
        nameable, asked = (np.array([part[what] for part in second]) for what in ("nameable", "asked"))
        kept.append(explaining(askable(nameable), asked))
    assert len(kept[0]) > 2
    assert [(move.source, move.plus) for move in kept[1]] == [("nameable_1", 0)]


@each
@pytest.mark.parametrize("x", [knowing, guessing], ids=["knows", "guesses"])
def test_dozens_of_demonstrations_teach_every_decomposition(family: Decomposition, x: Any) -> None:
    imitations = learnt(family, 100, x(family))
    for level in range(1, family.depth + 1):
        asked = one_each(family, np.random.default_rng(1), 300, "test", level)
        given, _ = amplify(family, imitations, level, asked, knowing(family))
        np.testing.assert_array_equal(given, truth(family, level, asked))


@each
def test_what_is_learnt_at_the_full_size_holds_at_every_size(family: Decomposition) -> None:
    imitations = learnt(family, 100, knowing(family))
    assert family.sizes()[-1] == family.size  # type: ignore[attr-defined]
    for size in family.sizes():
        world = family.sized(size)
        assert (world.names, world.vocabulary) == (family.names, family.vocabulary)
        asked = one_each(world, np.random.default_rng(1), 100, "train", family.depth)
        given, _ = amplify(world, imitations, family.depth, asked, knowing(world))
        np.testing.assert_array_equal(given, truth(world, family.depth, asked))


def test_the_only_question_of_a_level_does_not_tell_moves_apart() -> None:
    """Hence demonstrations at the full size: a pattern of wildcards only always has the same halves."""
    family = Wildcards(depth=3, size=4).sized(3)
    shown = demonstrate(family, 3, 100, knowing(family), 0.0, np.random.default_rng(0))
    first = [demonstration["parts"][0] for demonstration in shown]
    nameable, asked = (np.array([part[what] for part in first]) for what in ("nameable", "asked"))
    assert {move.source for move in explaining(askable(nameable), asked)} >= {"nothing", "nameable_1"}


def test_one_demonstration_is_not_enough() -> None:
    family = Powering()
    asked = one_each(family, np.random.default_rng(1), 300, "test", 2)
    right = [
        (amplify(family, learnt(family, 1, knowing(family), seed=seed), 2, asked, knowing(family))[0]
         == truth(family, 2, asked)).mean()
        for seed in range(20)
    ]  # fmt: skip
    assert np.mean(right) < 0.5


def test_a_human_who_does_something_else_is_imitated_too() -> None:
    """Nothing of the family's own way is built in but the rule, and that only as one choice among others."""
    family = Powering()
    shown = demonstrate(family, 1, 60, knowing(family), 0.0, np.random.default_rng(0))
    stubborn = [{**one, "answer": one["parts"][0]["said"]} for one in shown]
    imitation = imitate(family, 1, stubborn, np.random.default_rng(0))
    asked = one_each(family, np.random.default_rng(1), 200, "test", 1)
    given, _ = amplify(family, {1: imitation}, 1, asked, knowing(family))
    np.testing.assert_array_equal(given, truth(family, 0, asked))


def test_a_human_who_only_lapses_teaches_nothing() -> None:
    family = Assignments()
    asked = one_each(family, np.random.default_rng(1), 400, "test", 1)
    given, _ = amplify(family, learnt(family, 100, knowing(family), lapse=1.0), 1, asked, knowing(family))
    assert (given == truth(family, 1, asked)).mean() < 0.5


def test_senseless_moves_still_give_names_that_are_allowed() -> None:
    family = Finding()
    first, second = (Move(source=source, plus=1000) for source in ("nothing", "nameable_0"))
    imitations = {1: Imitation(below=(0, 0), asks=(first, second), answer=Move(source="answer_1", plus=1000))}
    asked = one_each(family, np.random.default_rng(1), 50, "test", 1)
    assert family.allowed(1)[amplify(family, imitations, 1, asked, knowing(family))[0]].all()


def test_the_known_rule_is_offered_beside_the_answers() -> None:
    family = Assignments()
    said = [np.array([1, 2]), np.array([3, 4])]
    offered = concludable(family, 1, np.empty((2, 0), dtype=np.int64), said)
    np.testing.assert_array_equal(offered["rule"], family.table()[[1, 2], [3, 4]])
    np.testing.assert_array_equal(offered["answer_1"], [3, 4])


def test_the_curriculum_takes_in_levels_and_then_sizes() -> None:
    assert curriculum(Finding(depth=1, size=10)) == (
        Stage(size=8, top=0), Stage(size=8, top=1), Stage(size=9, top=1), Stage(size=10, top=1),
    )  # fmt: skip


# --- whole runs ---


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store.db") as opened:
        yield opened


def setting(
    out: Path, store: Store, options: Mapping[str, Any] = TINY, *, updates: int = 600, seed: int = 0
) -> Setting:
    settings = Settings(
        seed=seed, helper=Budget(iterations=2, labels=60), root=Budget(iterations=1, labels=60), bounds=Bounds(),
        updates=updates, helper_updates=updates, options=options,
    )  # fmt: skip
    return Setting(build=DOMAIN.build, settings=settings, store=store, out=out, decomposition=family_of(options))


def score(outcome: Outcome) -> float:
    root = outcome.tree.nodes[outcome.tree.root]
    rewards, _ = policy_rewards(root, outcome.nodes[root.name].policy, 400)
    return float(rewards.mean())


def same_weights(first: Outcome, second: Outcome) -> bool:
    one, two = (outcome.nodes[outcome.tree.root].policy.weights for outcome in (first, second))
    return all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_level_above_the_facts_is_learnt(tmp_path: Path, store: Store) -> None:
    outcome = amplification.SCHEME.run(setting(tmp_path, store))
    assert score(outcome) > 0.95
    assert outcome.charged == ("amplification",) and set(outcome.nodes) == {"level_1"}


def test_nothing_is_done_twice(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    given = setting(tmp_path, store, updates=40)
    outcome = amplification.SCHEME.run(given)
    ledger = store.ledger()
    assert [(row.protocol, row.node, row.labels, row.demonstrations) for row in ledger] == [
        ("amplification", "level_1", 0, 60)
    ]

    # interrupted after the first stage: the second is done again, to the last bit, from the same demonstrations
    shutil.rmtree(folder(tmp_path, "amplification", "level_1", 1))
    assert same_weights(outcome, amplification.SCHEME.run(given))
    assert store.ledger() == ledger

    # finished: it is read
    monkeypatch.delattr(amplification, "practise")
    assert same_weights(outcome, amplification.SCHEME.run(given))

    # what H' is learnt from
    shown = [one for one in store.remarks("level_1", "amplification") if isinstance(one, Demonstration)]
    assert set(shown[0].output) == {"question", "world", "parts", "context", "answer"}
    assert set(shown[0].output["parts"][0]) == {"level", "nameable", "asked", "said"}


def test_updates_run_out(tmp_path: Path, store: Store) -> None:
    """Two levels' updates, as recursive reward modelling has them; what there is by then is the policy."""
    outcome = amplification.SCHEME.run(setting(tmp_path, store, updates=2))
    finished = load_weights(folder(tmp_path, "amplification", "level_1", 0))
    assert finished is not None
    assert finished[1]["updates"] == 2 * 2 + 2 * 1 and not finished[1]["passed"]
    assert load_weights(folder(tmp_path, "amplification", "level_1", 1)) is None
    assert outcome.nodes["level_1"].policy.level == 1
    assert not store.ledger()


def test_supervised_learning_is_charged_nothing(tmp_path: Path, store: Store) -> None:
    outcome = supervised.SCHEME.run(setting(tmp_path, store, updates=10))
    assert not store.ledger() and outcome.charged == ("supervised",)
    assert outcome.evaluator == "none"


def test_tasks_without_parts_are_refused(tmp_path: Path, store: Store) -> None:
    for scheme in (amplification.SCHEME, supervised.SCHEME):
        reason = scheme.refuses(replace(setting(tmp_path, store), decomposition=None))
        assert reason is not None and "easier" in reason
        assert scheme.refuses(setting(tmp_path, store)) is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [amplification.SCHEME, supervised.SCHEME], ids=lambda scheme: scheme.name)
@pytest.mark.parametrize(
    ("task", "updates"),
    [("powering", 1200), ("assignments", 1200), ("wildcards", 1200), ("paths", 6000), ("finding", 1200)],
)
def test_every_task_is_learnt(tmp_path: Path, store: Store, scheme: Any, task: str, updates: int) -> None:
    given = setting(tmp_path, store, {"task": task, "depth": 1}, updates=updates)
    assert score(scheme.run(given)) > 0.9


@pytest.mark.slow
def test_two_levels_are_learnt_over_seeds(tmp_path: Path) -> None:
    scores = []
    for seed in range(3):
        place = tmp_path / str(seed)
        place.mkdir()
        with open_store(place / "store.db") as store:
            options = {"task": "powering", "depth": 2, "size": 7}
            scores.append(score(amplification.SCHEME.run(setting(place, store, options, updates=1200, seed=seed))))
    assert min(scores) > 0.9, scores


def test_a_study_counts_demonstrations(tmp_path: Path) -> None:
    pytest.importorskip("rliable", reason="pip install 'rewardtree[study]'")
    from rewardtree.studies.study import RUNS, run_study
    from rewardtree.studies.study_config import parse_study
    from rewardtree.studies.tables import read_parquet

    config = {
        "task": "finding", "depth": 1, "seeds": 1, "labels": [200], "executor": "serial",
        "schemes": ["amplification", "supervised"],
        "settings": {
            "options": {"size": 8, "layers": 2}, "updates": 25, "helper_updates": 25, "test_inputs": 300,
        },
    }  # fmt: skip
    run_study(parse_study(config), tmp_path, lambda key, done, jobs: None)
    found = {row["scheme"]: row for row in read_parquet(tmp_path / RUNS)}
    assert found["amplification"]["failed"] is None
    assert 0 < found["amplification"]["demonstrations"] <= 400
    assert found["supervised"]["demonstrations"] == found["supervised"]["labels"] == 0
