"""Who gets which comparison, until when, and what becomes of late and doubled answers; on both engines."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
import sqlalchemy as sa

from rewardtree.errors import StoreError
from rewardtree.preferences import Comparison, Preference, Store, open_store

Make = Callable[..., list[Comparison]]


class Clock(Protocol):
    now: float


def said(comparison: Comparison, labeller: str, probability: float | None = 1.0, **more: object) -> Preference:
    return Preference(comparison=comparison.id, probability=probability, evaluator=labeller, **more)  # type: ignore[arg-type]


def take(store: Store, labeller: str, node: str | None = None, seconds: float = 60.0) -> tuple[Comparison, str]:
    taken = store.lease(labeller, node, seconds=seconds)
    assert taken is not None
    return taken


def test_a_reload_shows_the_open_lease(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(3, fields=b"secret"))
    first = take(store, "ada")
    assert first[0].fields == b"secret"
    assert take(store, "ada") == first
    assert take(store, "bob") != first
    assert store.answer(first[1], said(first[0], "ada"))
    assert take(store, "ada")[0] not in (first[0], take(store, "bob")[0])


def test_the_highest_priority_goes_first_then_the_oldest(store: Store, comparisons: Make) -> None:
    low, high = comparisons(3), comparisons(2, node="leaf", priority=2.0)
    store.submit(low)
    store.submit(high)
    given = []
    while (taken := store.lease("ada")) is not None:
        given.append(taken[0])
        store.answer(taken[1], said(taken[0], "ada"))
    assert given == high + low


def test_a_node_is_asked_for_by_name(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1, priority=9.0) + comparisons(1, node="leaf"))
    assert take(store, "ada", "leaf")[0].node == "leaf"
    assert take(store, "ada", "root")[0].node == "root"
    assert store.lease("bob", "none") is None


def test_nothing_is_given_twice_to_one_labeller(store: Store, comparisons: Make) -> None:
    asked = comparisons(2, slots=5)
    store.submit(asked)
    store.record([said(asked[0], "ada")])  # answered without a lease
    taken = take(store, "ada")
    assert taken[0] == asked[1]
    store.answer(taken[1], said(taken[0], "ada", None))
    assert store.lease("ada") is None
    assert take(store, "bob")[0] == asked[0]
    assert store.pending() == 2


def test_no_more_labellers_than_slots(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1, slots=2))
    assert take(store, "ada")[0] == take(store, "bob")[0]
    assert store.lease("cyd") is None
    assert store.pending() == 1  # out on lease is not answered


def test_an_expired_lease_is_given_out_again(store: Store, comparisons: Make, clock: Clock) -> None:
    store.submit(comparisons(1))
    ada = take(store, "ada", seconds=60.0)
    clock.now += 59
    assert store.lease("bob") is None
    clock.now += 1
    bob = take(store, "bob")
    assert bob[0] == ada[0] and bob[1] != ada[1]
    assert store.lease("ada") is None  # bob has it now
    with pytest.raises(StoreError, match="somebody else"):
        store.answer(ada[1], said(ada[0], "ada"))
    assert store.answer(bob[1], said(bob[0], "bob"))
    with pytest.raises(StoreError, match="somebody else"):
        store.answer(ada[1], said(ada[0], "ada"))
    assert [one.evaluator for one in store.collect("root", "recursive")] == ["bob"]


def test_an_expired_lease_that_nobody_else_got_is_still_good(store: Store, comparisons: Make, clock: Clock) -> None:
    asked = comparisons(2)
    store.submit(asked)
    ada = take(store, "ada", seconds=60.0)
    clock.now += 100
    assert store.answer(ada[1], said(ada[0], "ada"))  # nobody looked for expired leases yet
    ada = take(store, "ada", seconds=60.0)
    clock.now += 100
    store.lease("bob", "none")  # looks for expired leases, takes none
    assert store.answer(ada[1], said(ada[0], "ada"))
    assert store.pending() == 0


def test_a_labeller_who_comes_back_late_goes_on_where_it_was(store: Store, comparisons: Make, clock: Clock) -> None:
    store.submit(comparisons(1) + comparisons(1, node="leaf", priority=1.0))
    first = take(store, "ada", "root", seconds=60.0)
    clock.now += 100
    assert take(store, "ada") == first  # the same token, before anything new
    assert store.lease("bob", "root") is None
    assert store.answer(first[1], said(first[0], "ada"))
    assert not store.answer(first[1], said(first[0], "ada"))
    assert store.pending("root") == 0


def test_asking_again_prolongs_the_lease(store: Store, comparisons: Make, clock: Clock) -> None:
    store.submit(comparisons(1))
    take(store, "ada", seconds=60.0)
    clock.now += 50
    take(store, "ada", seconds=60.0)
    clock.now += 50
    assert store.lease("bob") is None


def test_a_double_submit_stores_one_answer(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1))
    comparison, token = take(store, "ada")
    assert store.answer(token, said(comparison, "ada", 0.0)) is True
    assert store.answer(token, said(comparison, "ada", 1.0)) is False
    assert store.answer(token, said(comparison, "ada", 1.0, condition="revised")) is False
    assert [one.probability for one in store.collect("root", "recursive")] == [0.0]


def test_doubled_submits_at_once_store_one_answer(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1))
    comparison, token = take(store, "ada")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda p: store.answer(token, said(comparison, "ada", p)), [0.0, 0.25, 0.5, 1.0]))
    assert sorted(done) == [False, False, False, True]
    assert len(store.collect("root", "recursive")) == 1


def test_judge_reveal_revise_stores_both_answers(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1))
    comparison, token = take(store, "ada")
    assert store.answer(token, said(comparison, "ada", 0.0), final=False)
    assert not store.answer(token, said(comparison, "ada", 0.5), final=False)
    assert take(store, "ada") == (comparison, token)
    assert store.pending() == 1
    assert store.answer(token, said(comparison, "ada", 1.0, condition="revised", claims_seen=(1,)))
    assert not store.answer(token, said(comparison, "ada", 0.0, condition="revised"))
    assert store.lease("ada") is None
    assert [(one.condition, one.probability) for one in store.collect("root", "recursive")] == [
        ("unaided", 0.0),
        ("revised", 1.0),
    ]


def test_a_first_answer_can_be_left_as_the_last(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(1))
    comparison, token = take(store, "ada")
    assert store.answer(token, said(comparison, "ada", 0.0), final=False)
    assert not store.answer(token, said(comparison, "ada", 0.0))
    assert store.pending() == 0


def test_a_token_is_good_for_its_own_labeller_and_comparison(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(2))
    ada, bob = take(store, "ada"), take(store, "bob")
    for token, comparison, labeller in (
        ("x" * 43, ada[0], "ada"),
        (ada[1], ada[0], "bob"),
        (ada[1], bob[0], "ada"),
        (bob[1], ada[0], "ada"),
    ):
        with pytest.raises(StoreError):
            store.answer(token, said(comparison, labeller))
    assert store.collect("root", "recursive") == []


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_lease_lasts_a_number_of_seconds(store: Store, seconds: float) -> None:
    with pytest.raises(StoreError, match="seconds"):
        store.lease("ada", seconds=seconds)


def test_one_labeller_in_two_tabs_gets_one_lease(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(8))
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: take(store, "ada"), range(8)))
    assert len({token for _, token in taken}) == 1


def test_labellers_at_once_never_get_the_same_comparison(target: str, comparisons: Make) -> None:
    asked = comparisons(40) + comparisons(10, node="leaf", slots=2, priority=1.0)

    def work(labeller: str) -> list[str]:
        done = []
        with open_store(target, run="test") as mine:
            while (taken := mine.lease(labeller)) is not None:
                assert mine.answer(taken[1], said(taken[0], labeller))
                done.append(taken[0].id)
        return done

    with open_store(target, run="test") as store:
        store.submit(asked)
        with ThreadPoolExecutor(5) as pool:
            done = list(pool.map(work, "abcde"))
        given = Counter(name for mine in done for name in mine)
        assert given == {one.id: one.slots for one in asked}
        assert all(len(mine) == len(set(mine)) for mine in done)
        assert len(store.collect("root", "recursive")) == 40
        assert store.pending() == 0


def test_slots_add_up_when_leases_expire_under_load(target: str, comparisons: Make, behind: sa.Engine) -> None:
    asked = comparisons(12, slots=2)

    def work(seed: int) -> int:
        rng = random.Random(seed)
        refused = 0
        with open_store(target, run="test") as mine:
            for turn in range(15):
                labeller = f"{seed % 3} {turn % 4}"  # two threads share a labeller
                taken = mine.lease(labeller, seconds=rng.choice([0.0, 0.01, 60.0]))
                if taken is not None and rng.random() < 0.7:
                    try:
                        mine.answer(taken[1], said(taken[0], labeller))
                    except StoreError as error:
                        assert "somebody else" in str(error)
                        refused += 1
                if turn % 5 == seed % 5:
                    mine.record([said(rng.choice(asked), f"sim {seed}")])
        return refused

    with open_store(target, run="test") as store:
        store.submit(asked)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        with behind.connect() as connection:
            over = connection.execute(
                sa.text(
                    "SELECT slots, slots_left, "
                    "(SELECT count(*) FROM lease "
                    "WHERE lease.comparison = comparison.seq AND state <> 'released') AS taken, "
                    "(SELECT count(*) FROM feedback "
                    "WHERE feedback.comparison = comparison.seq AND lease IS NULL) AS direct "
                    "FROM comparison"
                )
            ).all()
            twice = connection.execute(
                sa.text("SELECT count(*) FROM feedback GROUP BY comparison, evaluator HAVING count(*) > 1")
            ).all()
        assert twice == []
        for slots, slots_left, taken, direct in over:
            assert taken <= slots
            assert slots - taken - direct <= slots_left <= slots - taken
