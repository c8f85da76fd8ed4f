"""People in the loop: what is put to them, what is waited for, and what their answers become."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.preferences import Comparison, Preference, Store, open_store
from rewardtree.preferences.labelling import Choice, Labelling, Work, open_labelling
from rewardtree.preferences.values import PEOPLE
from rewardtree.rewards import ensemble
from rewardtree.rewards.ensemble import fit
from rewardtree.tasks.board import unpack
from rewardtree.tree import asking
from rewardtree.tree.asking import Asked, People, Waiting, awaited, put
from rewardtree.tree.comparing import collect
from rewardtree.tree.evaluating import assistance, experience_of, ideal_helpers, judge_of
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget
from rewardtree.tree.seen import Joined
from rewardtree.tree.sides import Side
from toy import toy_tree

TREE = toy_tree()
NODE = TREE.nodes["product"]
EXPERIENCE = experience_of(TREE, NODE, 0)
Answering = Callable[[Work], Choice]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK", 0.02)
    monkeypatch.setattr(ensemble, "fit", partial(fit, steps=40))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "labels.db", run="key/0") as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, store: Store) -> Iterator[Labelling]:
    opened = open_labelling(tmp_path / "labels.db", "key")
    yield opened
    opened.close()


def question(count: int = 12, place: str = "0/0") -> Asked:
    rng = np.random.default_rng(3)
    judging = judge_of(EXPERIENCE, NODE, ideal_helpers(TREE, NODE), rng)
    inputs = NODE.task.sample(rng, count, "train")
    sides = [NODE.task.base_outputs(rng, inputs) for _ in range(2)]
    first, second = (Side(outputs=side, claims=judging.assist(inputs, side)) for side in sides)
    return Asked(node=NODE, inputs=inputs, sides=(first, second), judging=judging, place=place)


def asked_of(store: Store, people: People, asked: Asked | None = None, seed: int = 0) -> list[Comparison]:
    asked = asked or question()
    reward = Joined(node=NODE, assist=assistance(NODE, {}), model=None)
    return put(store, "rrm", asked, reward, np.random.default_rng(seed), people=people)


def everyone(**given: Any) -> People:
    return People(nodes=frozenset({"product"}), **{"wait": 0.0, "gold": 0.0, "repeats": 0.0} | given)


@contextmanager
def labeller(desk: Labelling, name: str, choose: Answering) -> Iterator[list[Work]]:
    """Somebody who answers whatever comes, until the block ends."""
    done, seen = threading.Event(), []

    def work() -> None:
        while not done.is_set():
            given = desk.next(name)
            if given is None:
                time.sleep(0.01)
                continue
            seen.append(given)
            desk.answer(name, given.token, choose(given))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_an_iteration_waits_for_everybodys_answers(store: Store, desk: Labelling) -> None:
    told: list[tuple[str, Waiting]] = []
    people = everyone(wait=None, overlap=2, waiting=lambda *now: told.append(now))
    with labeller(desk, "ada", lambda work: "first"), labeller(desk, "bob", lambda work: "slightly_second"):
        asked = asked_of(store, people)
    whole = Waiting(given=24, wanted=24, out=0, minutes=0, aside=0, allowed=2)
    assert told[-1] == ("product", whole) and len(asked) == 12
    np.testing.assert_allclose(collect(store, [one.id for one in asked]), 0.625)
    assert {row.evaluator: row.labels for row in store.ledger()} == {"person/ada": 12, "person/bob": 12}


def test_it_goes_on_without_and_late_answers_count(store: Store, desk: Labelling) -> None:
    asked = asked_of(store, everyone())
    ids = [one.id for one in asked]
    assert np.isnan(collect(store, ids)).all()
    assert asked_of(store, everyone()) == asked, "the same iteration asks for the same"
    work = desk.next("ada")
    assert work is not None
    desk.answer("ada", work.token, "first")
    found = collect(store, ids)
    assert found[ids.index(work.comparison.id)] == 1.0 and np.isnan(found).sum() == 11


def test_a_run_that_waits_counts_answers_and_reads_none(
    store: Store, desk: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **more: Any) -> None:
        raise AssertionError("answers are read while they are waited for")

    monkeypatch.setattr(Store, "answers", refuse)
    with labeller(desk, "ada", lambda work: "first"):
        assert len(asked_of(store, everyone(wait=None))) == 12


def test_enough_answers_are_enough(store: Store, desk: Labelling) -> None:
    people, stop = everyone(wait=None, enough=0.5), iter(range(6))

    def six() -> None:
        for _ in stop:
            while (work := desk.next("ada")) is None:
                time.sleep(0.01)
            desk.answer("ada", work.token, "tie")

    thread = threading.Thread(target=six)
    thread.start()
    asked = asked_of(store, people)
    thread.join()
    assert np.isfinite(collect(store, [one.id for one in asked])).sum() == 6


def test_broken_ones_are_not_waited_for(store: Store, desk: Labelling) -> None:
    people, asked = everyone(wait=None), asked_of(store, everyone())
    while (work := desk.next("ada")) is not None:
        if work.comparison.id == asked[3].id:
            desk.report("ada", work.token, "empty")
        else:
            desk.answer("ada", work.token, "first")
    again = asked_of(store, people)  # would wait for ever
    assert np.isnan(collect(store, [one.id for one in again])).nonzero()[0].tolist() == [3]


@contextmanager
def waiting_for(store: Store, **given: Any) -> Iterator[list[Waiting]]:
    """A run that waits for people while the block lasts, and ends after it; what it tells."""
    told: list[Waiting] = []
    people = everyone(wait=None, waiting=lambda node, now: told.append(now), **given)
    thread = threading.Thread(target=lambda: asked_of(store, people))
    thread.start()
    yield told
    thread.join(timeout=60)
    assert not thread.is_alive()


def until(told: list[Waiting], **wanted: int) -> Waiting:
    """The last that was told, once it is this."""
    end = time.monotonic() + 60
    while not told or any(getattr(told[-1], name) != value for name, value in wanted.items()):
        assert time.monotonic() < end, (told[-1:], wanted)
        time.sleep(0.01)
    return told[-1]


def test_who_calls_everything_broken_does_not_end_the_wait(store: Store, desk: Labelling) -> None:
    with waiting_for(store) as told:
        until(told, given=0)
        reported = []
        while (work := desk.next("eve")) is not None:
            reported.append(work.comparison.id)
            desk.report("eve", work.token, "do not want to")
        now = until(told, aside=12)
        assert (now.given, now.wanted, now.allowed, now.open) == (0, 11, 1, 0)
        time.sleep(10 * asking.LOOK)
        assert told[-1] == now, "it waits"
        for name in reported[:11]:
            desk.put_back(name)
        assert until(told, aside=1).open == 11
        while (work := desk.next("ada")) is not None:
            desk.answer("ada", work.token, "first")
    assert (told[-1].given, told[-1].wanted) == (11, 11)


def test_what_labellers_hold_is_told_apart_from_what_waits(store: Store, desk: Labelling) -> None:
    with waiting_for(store) as told:
        assert until(told, given=0).open == 12
        work = desk.next("ada")
        now = until(told, out=1)
        assert work is not None and (now.open, now.minutes) == (11, 15)
        with labeller(desk, "bob", lambda work: "first"):
            assert until(told, given=11, out=1).open == 0
        desk.answer("ada", work.token, "first")


def test_a_share_goes_to_people_and_the_rest_to_the_simulated_evaluator(store: Store, desk: Labelling) -> None:
    asked = asked_of(store, everyone(share=0.25))
    theirs = [one for one in asked if one.slots]
    assert len(theirs) == 3 and np.isnan(collect(store, [one.id for one in theirs])).all()
    ours = [one.id for one in asked if not one.slots]
    assert set(collect(store, ours)) <= {0.0, 1.0}
    (row,) = store.ledger()
    assert (row.evaluator, row.labels) == ("assisted", 9)
    with labeller(desk, "ada", lambda work: "first" if (work.comparison.shadow or 0) > 0.5 else "second"):
        while desk.progress("ada").answered < 3:
            time.sleep(0.01)
    agreement = [(a.probability == 1.0) == ((a.shadow or 0) > 0.5) for a in desk.records().answers]
    assert agreement == [True] * 3


def test_gold_is_known_clear_and_never_trained_on(store: Store, desk: Labelling) -> None:
    asked = asked_of(store, everyone(gold=1.0, repeats=0.5))
    ids, kinds = {one.id for one in asked}, {"training": 0, "gold": 0, "repeat": 0}
    works: list[Work] = []
    while (work := desk.next("ada")) is not None:
        kinds[work.comparison.purpose] += 1
        works.append(work)
        desk.answer("ada", work.token, "first")
        assert (work.comparison.id in ids) == (work.comparison.purpose == "training")
    assert kinds["training"] == 12 and 10 <= kinds["gold"] <= 12 and kinds["repeat"] == 6
    order = [work.comparison.purpose for work in works if work.comparison.purpose != "repeat"]
    assert "gold" in order[:8] and "training" in order[:8], "given out among the others"
    for work in works:
        one = work.comparison
        assert "known" not in one.payload and one.payload.keys() == {
            "at", "row", "input", "first", "second", PEOPLE,
        } | ({"again"} if one.purpose == "repeat" else set())  # fmt: skip
    assert {a.purpose for a in desk.records().answers if a.known is not None} == {"gold"}


def test_gold_answers_are_true(store: Store, desk: Labelling) -> None:
    asked_of(store, everyone(gold=2.0))
    found = 0
    while (work := desk.next("ada")) is not None:
        desk.answer("ada", work.token, "first")
        one = work.comparison
        if one.purpose != "gold":
            continue
        rewards = []
        for side in ("first", "second"):
            shown, output = unpack(one.fields or b"")[side], one.payload[side]["output"]
            values = {tool["name"]: np.array(tool["values"], dtype=float) for tool in shown["instruments"]}
            amount = (values["left"] * values["right"])[output["place"]]
            rewards.append(amount - abs(output["value"] - amount))
        assert (rewards[0] > rewards[1]) == (one.known == 1.0)
        found += 1
    assert found >= 20


def test_claims_that_nothing_checks_are_not_said_to_be_reliable() -> None:
    asked = question()
    assert asked.trust and set(asked.trust) == set(asked.sides[0].claims)
    sides = [
        replace(side, claims={name: replace(claim, check=()) for name, claim in side.claims.items()})
        for side in asked.sides
    ]
    assert replace(asked, sides=(sides[0], sides[1])).trust == {}


def test_who_sees_claims_can_be_left_to_chance(store: Store) -> None:
    modes = [one.payload[PEOPLE]["mode"] for one in asked_of(store, everyone(mode="randomised"))]
    assert sorted(modes) == ["assisted"] * 6 + ["unaided"] * 6


def test_a_revised_answer_is_the_one_that_counts(store: Store, desk: Labelling) -> None:
    people = everyone(wait=None, mode="revise")
    with labeller(desk, "ada", lambda work: "first" if work.stage == "answer" else "slightly_second") as seen:
        asked = asked_of(store, people)
    assert len(seen) == 24
    np.testing.assert_allclose(collect(store, [one.id for one in asked]), 0.25)


def test_a_first_answer_that_nobody_revised_does_not_count(store: Store) -> None:
    ids = [one.id for one in asked_of(store, everyone(mode="revise"))]
    first = Preference(comparison=ids[0], probability=0.0, evaluator="person/ada", condition="unaided")
    whole = [replace(first, evaluator="person/eve", probability=1.0, condition=c) for c in ("unaided", "revised")]
    alone = replace(first, comparison=ids[1])
    store.record([first, *whole, alone])
    found = collect(store, ids)
    assert found[0] == 1.0 and np.isnan(found[1])


def test_the_mean_is_of_those_who_can_tell(store: Store) -> None:
    asked = asked_of(store, everyone())
    said = {"person/ada": 1.0, "person/bob": None, "person/cyd": 0.5}
    store.record([Preference(comparison=asked[0].id, probability=p, evaluator=e) for e, p in said.items()])
    store.record([Preference(comparison=asked[1].id, probability=None, evaluator="person/bob")])
    found = collect(store, [one.id for one in asked])
    assert found[0] == 0.75 and np.isnan(found[1:]).all()


def test_what_the_reward_model_doubts_is_asked_first(store: Store, desk: Labelling) -> None:
    from rewardtree.policies.answering import torch_generator
    from rewardtree.rewards.ensemble import RewardShape, initial

    asked = question()
    reward = Joined(node=NODE, assist=assistance(NODE, {}), model=None)
    shape = RewardShape(features=reward.observe(asked.inputs, asked.sides[0].outputs).shape[1], peaked=NODE.peaked)
    reward = replace(reward, model=initial(shape, torch_generator(np.random.default_rng(0))))
    found = put(store, "rrm", asked, reward, np.random.default_rng(0), people=everyone())
    assert len({one.priority for one in found}) > 6
    work = desk.next("ada")
    assert work is not None and work.comparison.priority == max(one.priority for one in found)


def test_the_whole_loop_trains_on_what_people_answer(tmp_path: Path, store: Store, desk: Labelling) -> None:
    """One who knows the truth answers the root; its reward model is fitted to these answers and no others."""
    budget = Budget(iterations=2, labels=20)
    tree = replace(TREE, nodes={name: replace(node, budget=budget) for name, node in TREE.nodes.items()})

    def right(work: Work) -> Choice:
        rewards = []
        for side in ("first", "second"):
            shown, output = unpack(work.comparison.fields or b"")[side], work.comparison.payload[side]["output"]
            values = {tool["name"]: tool["values"][output["place"]] for tool in shown["instruments"]}
            amount = values["left"] * values["right"]
            rewards.append(amount - abs(output["value"] - amount))
        return "first" if rewards[0] > rewards[1] else "second"

    training = Training(
        tree=tree, protocol="rrm", seed=0, store=store, out=tmp_path, people=everyone(wait=None, gold=0.1)
    )
    with labeller(desk, "ada", right):
        nodes = train(training)
    root = nodes["product"]
    assert root.feedback is not None and len(root.feedback.ids) == 40
    spent = {(row.node, row.evaluator): row.labels for row in store.ledger()}
    assert spent == {
        ("left", "unaided"): 40, ("right", "unaided"): 40, ("product", "person/ada"): 44,
    }  # fmt: skip
    assert np.isfinite(collect(store, root.feedback.ids)).all() and root.fits[-1].pairs + root.fits[-1].held_out == 40
    again = train(training)  # nothing is asked again
    assert again["product"].policy.version == root.policy.version and len(store.ledger()) == 3


def test_a_first_comparison_without_an_answer_is_no_foreign_store(store: Store) -> None:
    asked = asked_of(store, everyone(share=0.5))
    ids = sorted((one.id for one in asked), key=lambda name: not next(o.slots for o in asked if o.id == name))
    found = collect(store, ids)
    assert np.isnan(found[:6]).all() and np.isfinite(found[6:]).all()


def test_answers_to_broken_comparisons_train_nothing(store: Store, desk: Labelling) -> None:
    asked = asked_of(store, everyone(overlap=2))
    work = desk.next("ada")
    assert work is not None
    desk.answer("ada", work.token, "first")
    other = desk.next("bob")
    assert other is not None and other.comparison.id == work.comparison.id
    desk.report("bob", other.token, "empty")
    assert np.isnan(collect(store, [one.id for one in asked])).all()


def test_training_ahead_waits_for_what_was_asked_before(store: Store, desk: Labelling) -> None:
    """The first and the last iteration wait for their own; those between for what was put `ahead` iterations before."""
    ids, ahead = [f"comparison-{i}" for i in range(9)], everyone(ahead=1)
    node = replace(NODE, budget=Budget(iterations=4, labels=3))
    assert awaited(ahead, node, 0, ()) == ((), True) and awaited(ahead, node, 3, ids) == (ids, True)
    assert awaited(ahead, node, 1, ids[:3]) == (ids[:3], False) and awaited(ahead, node, 2, ids[:6]) == (ids[:6], False)
    assert awaited(everyone(ahead=2), node, 2, ids[:6]) == (ids[:3], False)
    assert awaited(everyone(), node, 2, ids[:6]) == awaited(None, node, 2, ids[:6]) == ((), True)


def test_training_ahead_goes_on_while_its_own_comparisons_wait(store: Store, desk: Labelling) -> None:
    people = everyone(wait=None, ahead=1)
    with labeller(desk, "ada", lambda work: "first"):
        before = asked_of(store, people)
    earlier = [one.id for one in before]
    asked = asked_of(store, people, replace(question(place="0/1"), earlier=earlier, own=False), seed=1)
    found = collect(store, [*earlier, *(one.id for one in asked)])
    assert np.isfinite(found[: len(before)]).all() and np.isnan(found[len(before) :]).all()
    third = replace(question(place="0/2"), earlier=[one.id for one in asked], own=False)
    waits = threading.Thread(target=asked_of, args=(store, people, third, 2))
    waits.start()
    time.sleep(0.3)
    assert waits.is_alive(), "two iterations ahead of the answers"
    with labeller(desk, "ada", lambda work: "second"):
        waits.join()
    assert np.isfinite(collect(store, [one.id for one in asked])).all()
