"""Debate: the truth wins, the judge sees one fact a side, worth follows from level to level, and debaters learn."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.domains.algorithms.domain import DOMAIN, FAMILIES
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import Store, open_store
from rewardtree.protocols import debate
from rewardtree.protocols.debate import DOUBLY_EFFICIENT, FREE, PRECOMMITTED, put, targets
from rewardtree.protocols.debate_game import (
    Beliefs,
    Floor,
    Mind,
    Rules,
    Transcript,
    argue,
    describe,
    exhibits,
    judge,
    settle,
)
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import Decomposition, Questions, by_parts, one_each, truth
from rewardtree.tree.domain import Settings
from rewardtree.tree.measure import policy_rewards
from rewardtree.tree.node import Budget

ADAPTIVE = Rules(name="adaptive", title="", free=True, committed=False)
COMMITTED = Rules(name="committed", title="", free=True, committed=True)
SURE = Bounds(lapse=0.0, rationality=1e3)
SCHEMES = (PRECOMMITTED, FREE, DOUBLY_EFFICIENT)


def family(name: str = "powering", depth: int = 2) -> Decomposition:
    return FAMILIES[name](**{"depth": depth} | ({"size": 7} if name == "powering" else {}))


def sure(kind: Decomposition, level: int, asked: Questions) -> np.ndarray:
    """The truth, also of questions that are none of their level's, where it must only be some name."""
    if level == 0:
        found = asked.worlds.facts[asked.row, np.minimum(asked.asked, asked.worlds.facts.shape[1] - 1)]
    else:
        found = by_parts(kind, level, asked, lambda lower, part: sure(kind, lower, part))
    return np.where(kind.allowed(level)[found], found, np.flatnonzero(kind.allowed(level))[0])


def knowing(kind: Decomposition, wrong: float = 0.0) -> Mind:
    """Knows the truth of every question, but for a share of them; doubts what it believes to be wrong."""

    def think(level: int, asked: Questions) -> Beliefs:
        worlds, tokens = asked.worlds.tokens.shape[:2]
        every = asked.about(np.repeat(np.arange(worlds), tokens), np.tile(np.arange(tokens), worlds))
        known, rng = sure(kind, level, every), np.random.default_rng(level)
        other = rng.choice(np.flatnonzero(kind.allowed(level)), len(every))
        known = np.where(rng.random(len(every)) < wrong, other, known)
        right = np.arange(kind.names) == known.reshape(worlds, tokens, 1)
        return Beliefs(answers=np.where(right, -0.1, -5.0), doubts=np.where(right, -30.0, -1.0))

    return think


def floor(kind: Decomposition, rules: Rules, minds: tuple[Mind, Mind], asked: Questions) -> Floor:
    speaker, other = ({level: mind(level, asked) for level in range(kind.depth)} for mind in minds)
    return Floor(family=kind, committed=rules.committed, speaker=speaker, other=other)


def held(
    rules: Rules, minds: tuple[Mind, Mind], kind: Decomposition, count: int = 60
) -> tuple[Questions, tuple[Transcript, Transcript]]:
    """Debates in which the first side has the right answer."""
    rng = np.random.default_rng(3)
    asked = one_each(kind, rng, count, "validation", kind.depth)
    right = truth(kind, kind.depth, asked)
    wrong = kind.decoys(rng, kind.depth, asked, right)
    return asked, debate.debate(rules, kind, minds, asked, (right, wrong), rng)


@pytest.mark.parametrize("rules", [ADAPTIVE, COMMITTED], ids=lambda rules: rules.name)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_lying_debater_loses_to_an_honest_one_in_every_debate(name: str, rules: Rules) -> None:
    kind = family(name)
    asked, sides = held(rules, (knowing(kind), knowing(kind, wrong=0.3)), kind)
    for bounds, least in ((SURE, 1.0), (Bounds(), 0.989)):
        found = judge(exhibits(asked, sides, bounds.budget), bounds, np.random.default_rng(0))
        assert found.probability.min() > least - 1e-3
        assert found.readings.max() <= 2


def test_a_liar_gets_away_with_it_where_attacks_fall_anywhere() -> None:
    """One fact in four is false at depth 2, and an attack that knows nothing always meets the first."""
    kind = family()

    def blind(level: int, asked: Questions) -> Beliefs:
        found = knowing(kind)(level, asked)
        return replace(found, doubts=np.zeros_like(found.doubts))

    shares = []
    for honest in (knowing(kind), blind):
        asked, sides = held(ADAPTIVE, (honest, knowing(kind)), kind, 200)
        shares.append(judge(exhibits(asked, sides, 2), SURE, np.random.default_rng(0)).probability.mean())
    assert shares[0] > 0.999 and shares[1] < 0.8


@pytest.mark.parametrize("rules", [ADAPTIVE, COMMITTED], ids=lambda rules: rules.name)
def test_the_verdict_does_not_change_with_facts_that_were_not_read(rules: Rules) -> None:
    kind = family()
    asked, sides = held(rules, (knowing(kind, wrong=0.5), knowing(kind, wrong=0.5)), kind)
    first = judge(exhibits(asked, sides, 2), Bounds(), np.random.default_rng(0))
    read = np.zeros(asked.worlds.facts.shape, dtype=bool)
    for side in sides:
        ends = ~side.clash & ~side.sound
        read[asked.row[ends], side.place[ends]] = True
    assert np.array_equal(read[asked.row].sum(axis=1) == 0, first.readings == 0)
    other = np.where(read, asked.worlds.facts, (asked.worlds.facts + 1) % 7)
    moved = replace(asked, worlds=replace(asked.worlds, facts=other, tokens=asked.worlds.tokens * 0))
    second = judge(exhibits(moved, sides, 2), Bounds(), np.random.default_rng(0))
    for name in ("probability", "first_better", "readings"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    changed = np.where(read, (asked.worlds.facts + 1) % 7, asked.worlds.facts)
    third = judge(exhibits(replace(asked, worlds=replace(asked.worlds, facts=changed)), sides, 2), Bounds(),
                  np.random.default_rng(0))  # fmt: skip
    assert (third.probability != first.probability).any()


def one_ending(kind: Decomposition, **given: Any) -> tuple[Questions, tuple[Transcript, Transcript]]:
    asked, sides = held(ADAPTIVE, (knowing(kind), knowing(kind)), kind, 4)
    return asked, (sides[0], replace(sides[1], **{n: np.full(4, v) for n, v in given.items()}))


def test_the_judge_reads_as_far_as_its_meter_goes() -> None:
    """Right against wrong: sure with one reading of each, half so with one, and none the wiser without any."""
    asked, sides = one_ending(family())
    sizes = {}
    for budget in (0, 1, 2, None):
        found = judge(exhibits(asked, sides, budget), Bounds(lapse=0.0, rationality=1.0), np.random.default_rng(0))
        assert np.all(found.readings == min(2, 2 if budget is None else budget))
        sizes[budget] = np.log(found.probability / (1 - found.probability))[0]
    assert sizes == {0: 0.0, 1: pytest.approx(0.5**0.5), 2: pytest.approx(2**0.5), None: pytest.approx(2**0.5)}
    deaf = judge(exhibits(asked, sides, 2), Bounds(attention=1), np.random.default_rng(0))
    assert np.all(deaf.readings == 0) and np.all(deaf.probability == 0.5) and np.all(deaf.claims_seen == 0)


@pytest.mark.parametrize(("end", "better"), [("clash", 1.0), ("sound", 0.5)])
def test_steps_of_reasoning_are_checked_without_a_reading(end: str, better: float) -> None:
    asked, sides = one_ending(family(), **{end: True})
    found = judge(exhibits(asked, sides, 2), SURE, np.random.default_rng(0))
    assert np.all(found.readings == 1) and found.probability == pytest.approx(np.full(4, better))


def test_an_assertion_about_a_place_without_a_fact_counts_as_false_and_costs_nothing() -> None:
    asked, sides = one_ending(family(), place=99)
    found = judge(exhibits(asked, sides, 2), SURE, np.random.default_rng(0))
    assert np.all(found.readings == 1) and np.all(found.probability > 0.99)


def reference(floor: Floor, level: int, world: int, asked: int, answer: int, asks: Questions) -> tuple[float, float]:
    """Worth and pull of one assertion by plain recursion, where a fact is worth 1 if it holds, else -1."""
    kind = floor.family

    def names(values: list[int]) -> list[np.ndarray]:
        return [np.array([value]) for value in values]

    if level == 0:
        right = asks.worlds.facts[world, asked] == answer
        return (1.0 if right else -1.0), float(floor.other[0].doubts[world, asked, answer])
    here = asks.about(np.array([world]), np.array([asked]))
    found = []
    below = kind.parts(level)
    for changed in [None] if floor.committed else [(k, n) for k in range(len(below)) for n in range(kind.names)]:
        said: list[int] = []
        parts: list[int] = []
        belief = 0.0
        for k, lower in enumerate(below):
            parts.append(int(kind.part(level, k, here, names(said))[0]))
            thought = floor.speaker[lower].answers[world, parts[k]]
            said.append(changed[1] if changed and changed[0] == k else int(thought.argmax()))
            belief += float(thought[said[k]])
        if int(kind.conclude(level, kind.context(here), names(said))[0]) == answer:
            found.append((belief, parts, said))
    if not found:
        return -2.0, 60.0
    _, parts, said = max(found, key=lambda each: each[0])
    lower_down = [reference(floor, low, world, q, a, asks) for low, q, a in zip(below, parts, said, strict=True)]
    weights = np.exp([pull for _, pull in lower_down])
    expected = float(np.dot(weights, [worth for worth, _ in lower_down]) / weights.sum())
    pull = np.log(weights.sum()) if floor.committed else (
        floor.other[level].doubts[world, asked, answer] if level in floor.other else 0.0
    )  # fmt: skip
    return expected, float(pull)


@pytest.mark.parametrize("rules", [ADAPTIVE, COMMITTED], ids=lambda rules: rules.name)
def test_worth_is_that_of_plain_recursion(rules: Rules) -> None:
    """Beliefs at random, without ties; a contradiction is worth -2."""
    kind = family()
    asked = one_each(kind, np.random.default_rng(0), 3, "train", 2)

    def random(level: int, asked: Questions) -> Beliefs:
        drawn = np.random.default_rng([5, level]).normal(size=(2, 3, 7, 7)) * 2
        return Beliefs(answers=drawn[0], doubts=drawn[1])

    stage = floor(kind, rules, (random, random), asked)
    found = settle(stage, 2, asked, lambda ends: np.where(ends[:, 0] > 0, -2.0, 2.0 * ends[:, 2] - 1))[0][2]
    for world in range(3):
        for answer in range(7):
            expected = reference(stage, 2, world, int(asked.asked[world]), answer, asked)[0]
            assert found[world, asked.asked[world], answer] == pytest.approx(expected, abs=1e-6)


def test_targets_are_the_softmax_of_the_advantage_over_the_opponents_answer() -> None:
    """The closed form: advantage w_a - sum_(b != a) p_b w_b / (1 - p_a)."""
    kind, worth = family(), np.random.default_rng(0).normal(size=(1, 7))
    rival = np.full((1, 7), 1 / 7)
    found, alone = (np.exp(targets(kind, 1, worth, rival, 0.5, doubts=doubts)) for doubts in (True, False))
    advantage = np.array([worth[0, a] - np.delete(worth[0], a).mean() for a in range(7)])
    expected = np.exp(advantage / 0.5) / np.exp(advantage / 0.5).sum()
    assert found.shape == (1, 14) and found[0, :7] == pytest.approx(expected / 2)
    assert found[0, 7:] == pytest.approx(np.exp(-worth[0]) / np.exp(-worth[0]).sum() / 2)
    assert alone[0, :7] == pytest.approx(expected) and not alone[0, 7:].any()


def test_transcripts_say_who_asserted_what_in_reply_to_what() -> None:
    kind = family()
    _, sides = held(ADAPTIVE, (knowing(kind), knowing(kind)), kind, 5)
    for row, record in enumerate(describe(sides[1], "debater_2", "debater_1")):
        claims = record["claims"]
        assert [claim["turn"] for claim in claims] == [0, 1, 2, 3]
        assert [claim["in_reply_to"] for claim in claims] == [None, 0, 1, 2]
        assert [claim["author"] for claim in claims] == ["debater_2", "debater_1"] * 2
        assert claims[0]["value"] == record["output"] == sides[1].answer[row]
        pointed = claims[1]["points_at"]
        assert claims[2]["place"] == claims[0]["parts"][pointed] and claims[2]["value"] == claims[0]["said"][pointed]
        assert all(claim["asserted"] for claim in claims[::2]) and record["ends_with"] == "fact"
        json.dumps(record)


def test_debates_gone_astray_end_anywhere_in_a_committed_computation() -> None:
    kind = family()
    rng = np.random.default_rng(0)
    asked = one_each(kind, rng, 300, "train", 2)
    stage = floor(kind, COMMITTED, (knowing(kind), knowing(kind)), asked)
    side = argue(stage, 2, asked, truth(kind, 2, asked), rng, np.ones(300, dtype=bool))
    assert not side.clash.any() and 0.4 < side.sound.mean() < 0.7  # 1/3 + 2/3 * 1/3 = 5/9
    lie = argue(stage, 2, asked, (truth(kind, 2, asked) + 1) % 7, rng, np.ones(300, dtype=bool))
    assert 0.2 < lie.clash.mean() < 0.47


def settings(**given: Any) -> Settings:
    budget = Budget(iterations=given.pop("iterations", 1), labels=given.pop("labels", 60))
    updates = given.pop("updates", 3)
    options = {"task": "powering", "depth": 1, "size": 7, "width": 16, "layers": 1} | given
    return Settings(
        seed=0, helper=budget, root=budget, bounds=Bounds(), updates=updates, helper_updates=updates, options=options
    )


def setting(out: Path, store: Store, seen: list[Any], **given: Any) -> Setting:
    chosen = settings(**given)
    return Setting(
        build=DOMAIN.build, settings=chosen, store=store, out=out, decomposition=DOMAIN.decomposition(chosen),  # type: ignore[misc]
        observe=lambda protocol, node, iteration, trained: seen.append((protocol, node.name, iteration)),
    )  # fmt: skip


def weights(outcome: Outcome) -> dict[str, Any]:
    return {name: value.numpy() for name, value in outcome.nodes[outcome.tree.root].policy.weights.items()}


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_scheme_spends_the_trees_labels_and_goes_on_where_it_was_interrupted(scheme: Any, tmp_path: Path) -> None:
    seen: list[Any] = []
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store, seen, iterations=2)
        first = scheme.run(given)
        (row,) = store.ledger()
        assert (row.protocol, row.node, row.labels) == (scheme.name, "level_1", 240)
        assert 200 < row.readings <= 480, "about one a side or less: at times both are found out for free"
        assert first.charged == (scheme.name,) and set(first.nodes) == {"level_1"}
        assert seen == [(scheme.name, "level_1", 0), (scheme.name, "level_1", 1)]
        for part in ("level_1/iteration-000", "judge/iteration-001", "level_1/iteration-001", "validation"):
            shutil.rmtree(tmp_path / scheme.name / part)
        second, third = scheme.run(given), scheme.run(given)
        assert store.ledger() == [row]
    for other in (second, third):
        found = weights(other)
        assert all(np.array_equal(value, found[name]) for name, value in weights(first).items())
        assert other.nodes["level_1"].feedback.ids == first.nodes["level_1"].feedback.ids
        assert other.nodes["level_1"].fits == first.nodes["level_1"].fits
    record = json.loads((tmp_path / scheme.name / "validation" / "iteration-000" / "record.json").read_text())
    assert 0.4 < record["judge_accuracy"] <= 0.99


def test_comparisons_judged_already_are_not_judged_again(tmp_path: Path) -> None:
    kind = family(depth=1)
    asked, sides = held(ADAPTIVE, (knowing(kind), knowing(kind)), kind, 10)
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store, [])
        tree = given.build(given.settings)
        training = given.training("debate_free", tree, evaluators="assisted")
        ids = [put(training, tree.nodes["level_1"], "0/0", asked, sides, "v", np.random.default_rng(i)) for i in (0, 1)]
        assert ids[0] == ids[1] and sum(row.labels for row in store.ledger()) == 10
        stored = store.comparisons(ids[0][:1])[ids[0][0]]
        assert stored.budget == 2 and stored.payload["first"]["claims"][0]["author"] == "debater_1"


def test_tasks_whose_questions_do_not_fall_apart_are_refused(tmp_path: Path) -> None:
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store, [])
        for scheme in SCHEMES:
            assert scheme.refuses(given) is None
            assert "does not say" in str(scheme.refuses(replace(given, decomposition=None)))


def accuracy_of(outcome: Outcome) -> float:
    root = outcome.tree.nodes[outcome.tree.root]
    return float(policy_rewards(root, outcome.nodes[root.name].policy, 400, "validation")[0].mean())


def test_verdicts_alone_teach_two_steps_of_a_permutation(tmp_path: Path) -> None:
    """Untrained, one answer in seven is right."""
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store, [], labels=150, updates=250, width=64, layers=1)
        found = FREE.run(given)
    root = found.nodes["level_1"]
    assert accuracy_of(replace(found, nodes={"level_1": replace(root, policy=root.untrained)})) < 0.3
    assert accuracy_of(found) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("task", ["powering", "finding"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_verdicts_alone_teach_depth_two(scheme: Any, task: str, tmp_path: Path) -> None:
    size = {"powering": 7, "finding": 12}[task]
    with open_store(tmp_path / "store.db") as store:
        given = setting(tmp_path, store, [], task=task, size=size, depth=2, labels=400, updates=900, width=64, layers=1)
        found = scheme.run(given)
    assert accuracy_of(found) > 0.9
    record = json.loads((tmp_path / scheme.name / "validation" / "iteration-000" / "record.json").read_text())
    assert record["judge_accuracy"] > record["judge_accuracy_without_debate"] + 0.2
    assert record["won_by_the_right_side"] > 0.85
