"""What a waiting run counts is what reading everything would find, on both engines."""

import random
from collections.abc import Callable, Iterator

import pytest

from rewardtree.preferences import Comparison, Preference, Store
from rewardtree.preferences.labelling import Labelling, open_labelling
from rewardtree.preferences.tallying import Tally
from rewardtree.preferences.values import PERSON, Condition

Make = Callable[..., list[Comparison]]


class Clock:
    now: float


@pytest.fixture
def desk(shared: str, store: Store, clock: Clock) -> Iterator[Labelling]:
    opened = open_labelling(shared, store.run, clock=clock, lease_seconds=100.0)  # type: ignore[arg-type]
    yield opened
    opened.close()


def read(store: Store, asked: list[Comparison], condition: Condition | None = None) -> tuple[int, int, int]:
    """Answers asked for, given and set aside, by reading every one of them."""
    ids = [one.id for one in asked]
    aside, found, given = store.set_aside(ids), store.answers(ids, condition=condition), 0
    for one in asked:
        people = {answer.evaluator for answer in found.get(one.id, ()) if answer.evaluator.startswith(PERSON)}
        given += 0 if one.id in aside else min(len(people), one.slots)
    return sum(one.slots for one in asked), given, sum(one.slots for one in asked if one.id in aside)


def test_the_count_is_what_reading_finds(store: Store, desk: Labelling, clock: Clock, comparisons: Make) -> None:
    rng, asked = random.Random(1), comparisons(14, slots=2)
    revised = comparisons(6, node="other", slots=1)
    revised = [
        Comparison(id=one.id, node=one.node, protocol=one.protocol, question=one.question, budget=one.budget,
                   payload=one.payload | {"people": {"mode": "revise"}}, policy_versions=one.policy_versions)
        for one in revised
    ]  # fmt: skip
    mine = [*asked, *revised]
    store.submit([*mine, *comparisons(5, node="not asked about", slots=3)])
    store.record([Preference(comparison=one.id, probability=0.5, evaluator="assisted") for one in asked[:3]])
    store.record([Preference(comparison=asked[0].id, probability=0.5, evaluator=f"person/{i}") for i in range(4)])
    seen = set()
    for _ in range(150):
        clock.now += rng.choice([1.0, 1.0, 60.0])
        name = rng.choice(["ada", "bob", "cyd"])
        work, deed = desk.next(name), rng.random()
        if deed < 0.1:
            desk.undo(name)
        elif work is not None and deed < 0.2:
            desk.report(name, work.token, "empty")
        elif work is not None and deed < 0.7:
            desk.answer(name, work.token, rng.choice(["first", "tie", "cannot_tell"]))
        elif deed < 0.8:
            desk.put_back(rng.choice(mine).id)
        for condition in (None, "revised"):
            now = store.tally([one.id for one in mine], condition)  # type: ignore[arg-type]
            assert (now.asked, now.given, now.aside) == read(store, mine, condition)  # type: ignore[arg-type]
        seen.add((now.given > 0, now.aside > 0, now.out))
    assert len(seen) > 6, "all of this came to pass"
    assert store.tally([]) == Tally() == store.tally(["f" * 32])


def test_what_labellers_hold_is_out_until_it_runs_out(
    store: Store, desk: Labelling, clock: Clock, comparisons: Make
) -> None:
    asked = comparisons(3)
    ids = [one.id for one in asked]
    store.submit(asked)
    ada = desk.next("ada")
    clock.now += 30
    bob = desk.next("bob")
    assert ada is not None and bob is not None
    assert store.tally(ids) == Tally(asked=3, out=2, until=clock.now + 100)
    assert store.tally([ada.comparison.id]) == Tally(asked=1, out=1, until=clock.now + 70)
    desk.report("bob", bob.token, "empty")
    assert store.tally(ids) == Tally(asked=3, aside=1, out=1, until=clock.now + 70)
    clock.now += 70
    assert store.tally(ids) == Tally(asked=3, aside=1)
    assert desk.next("ada") is not None
    desk.answer("ada", ada.token, "first")
    assert store.tally(ids) == Tally(asked=3, given=1, aside=1)
