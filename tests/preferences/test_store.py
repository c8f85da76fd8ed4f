"""What is submitted and recorded once stays, in order, once, and is counted right, on both engines."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardtree.errors import StoreError
from rewardtree.preferences import (
    Comparison,
    Critique,
    Demonstration,
    Feedback,
    LedgerRow,
    Preference,
    Rating,
    StepLabel,
    Store,
    canonical_json,
    comparison_id,
    open_store,
)
from rewardtree.preferences.recording import add_preferences

Make = Callable[..., list[Comparison]]


def answers(comparisons: list[Comparison], evaluator: str = "sim", **more: object) -> list[Preference]:
    return [
        Preference(comparison=one.id, probability=i / max(1, len(comparisons) - 1), evaluator=evaluator, **more)  # type: ignore[arg-type]
        for i, one in enumerate(comparisons)
    ]


def test_a_second_submit_changes_nothing(store: Store, comparisons: Make) -> None:
    asked = comparisons(5)
    assert store.submit(asked[:3]) == 3
    assert store.submit(asked) == 2
    assert store.submit(asked + asked) == 0
    assert store.submit([]) == 0
    assert store.comparisons([one.id for one in asked]) == {one.id: one for one in asked}


def test_a_comparison_comes_back_as_it_was(store: Store, comparisons: Make) -> None:
    asked = comparisons(1, fields=bytes(range(256)), priority=-0.1, slots=3)
    store.submit(asked)
    assert list(store.comparisons([asked[0].id, "f" * 32]).values()) == asked


def test_answers_come_back_as_they_were_and_in_order(store: Store, comparisons: Make) -> None:
    asked = comparisons(1100)  # more than one query holds
    store.submit(asked)
    given_ = answers(
        asked,
        seconds=0.1,
        readings=3,
        claims_seen=(0, 4),
        swapped=True,
        condition="assisted",
        weight=0.5,
        policy_versions={"helper": "7"},
        rationale="wärmer",
    )
    random.Random(0).shuffle(given_)
    assert store.record(given_) == 1100
    assert store.collect("root", "recursive") == given_
    assert store.collect("root", "recursive", since=1090) == given_[1090:]
    assert store.collect("root", "recursive", since=1100) == []
    assert store.collect("leaf", "recursive") == store.collect("root", "flat") == []


def test_a_second_record_changes_nothing(store: Store, comparisons: Make) -> None:
    asked = comparisons(4)
    store.submit(asked)
    first = answers(asked)
    assert store.record(first[:2] + first[:2]) == 2
    changed = [Preference(comparison=one.id, probability=None, evaluator="sim") for one in asked]
    assert store.record(changed[:2]) == 0
    assert store.record(first) == 2
    assert store.record([]) == 0
    assert store.collect("root", "recursive") == first
    assert store.record(answers(asked, evaluator="other")) == 4
    assert store.record(answers(asked, condition="assisted")) == 4


def test_a_replayed_iteration_finds_its_answers(target: str, comparisons: Make) -> None:
    asked = comparisons(6)
    with open_store(target, run="test") as before:
        before.submit(asked[:5])
        before.record(answers(asked[:3]))
        before.record(answers(asked[:3], evaluator="expert", condition="assisted"))
    with open_store(target, run="test") as after:
        found = after.answered([one.id for one in reversed(asked)])
        assert list(found) == [one.id for one in reversed(asked[:3])]
        assert all(one.evaluator == "sim" for one in found.values())
        expert = after.answered(found, evaluator="expert")
        assert [one.condition for one in expert.values()] == ["assisted"] * 3
        assert after.answered(found, evaluator="expert", condition="unaided") == {}
        assert after.answered([]) == {}


def test_an_answer_to_nothing_stores_nothing(store: Store, comparisons: Make) -> None:
    asked = comparisons(2)
    store.submit(asked[:1])
    with pytest.raises(StoreError, match="submit it before"):
        store.record(answers(asked))
    assert store.collect("root", "recursive") == []


def test_runs_in_one_database_do_not_see_each_other(target: str, comparisons: Make) -> None:
    with open_store(target, run="a") as a, open_store(target, run="b") as b:
        asked = comparisons(3)  # the same ids in both, as if the runs had the same key
        assert a.submit(asked) == b.submit(asked) == 3
        a.record(answers(asked))
        assert b.collect("root", "recursive") == []
        assert b.answered([one.id for one in asked]) == {}
        assert b.ledger() == []
        assert (a.pending(), b.pending()) == (0, 3)
        assert a.lease("ada") is None
        taken = b.lease("ada")
        assert taken is not None
        with pytest.raises(StoreError, match="no such lease"):
            a.answer(taken[1], Preference(comparison=taken[0].id, probability=1.0, evaluator="ada"))


def test_pending_counts_what_was_not_answered(store: Store, comparisons: Make) -> None:
    store.submit(comparisons(4) + comparisons(3, node="leaf", slots=2) + comparisons(2, node="direct", slots=0))
    assert (store.pending(), store.pending("root"), store.pending("leaf"), store.pending("none")) == (
        7,
        4,
        3,
        0,
    )
    store.record(answers(comparisons(2)) + answers(comparisons(2, node="leaf")))
    assert (store.pending("root"), store.pending("leaf")) == (2, 3)
    second = answers(comparisons(2, node="leaf"), "second") + answers(comparisons(2, node="leaf"), "third")
    assert store.record(second) == 4  # one slot is left for the two
    assert store.pending("leaf") == 1


def random_feedback(asked: list[Comparison], rng: random.Random) -> list[Feedback]:
    given_: list[Feedback] = []
    for evaluator, one in itertools.product(("sim", "Ada", "ada", "é"), asked):
        for condition in ("unaided", "assisted", "revised"):
            if rng.random() < 0.5:
                given_.append(
                    Preference(
                        comparison=one.id,
                        probability=rng.choice([None, 0.0, 0.5, 1.0]),
                        evaluator=evaluator,
                        condition=condition,  # type: ignore[arg-type]
                        seconds=rng.randrange(100) / 4,
                        readings=rng.randrange(5),
                    )
                )
    for i in range(60):
        about = {"node": rng.choice(["root", "leaf"]), "protocol": "recursive", "subject": f"output {i}"}
        by = {"evaluator": rng.choice(["sim", "Ada"]), "seconds": 0.5, "readings": rng.randrange(3)}
        kind = rng.randrange(4)
        if kind == 0:
            given_.append(Rating(value=rng.random(), **about, **by))
        elif kind == 1:
            given_.append(Critique(text="too hot", place=rng.choice([None, "block 3"]), **about, **by))
        elif kind == 2:
            given_.append(Demonstration(output={"places": [1, 2]}, **about, **by))
        else:
            given_.append(StepLabel(part="2", value=-1.0, **about, **by))
    rng.shuffle(given_)
    return given_


def plain_ledger(given_: list[Feedback], asked: list[Comparison]) -> list[LedgerRow]:
    node_of = {one.id: one.node for one in asked}
    sums: dict[tuple[str, str, str, str], Counter[str]] = {}
    for one in given_:
        node = node_of[one.comparison] if isinstance(one, Preference) else one.node
        counts = sums.setdefault(("recursive", node, one.evaluator, one.condition), Counter())
        counts["readings"] += one.readings
        counts["seconds"] += one.seconds  # type: ignore[assignment]
        if isinstance(one, Preference):
            counts["labels"] += 1
            counts["abstentions"] += one.probability is None
        elif isinstance(one, Demonstration):
            counts["demonstrations"] += 1
        else:
            counts["verdicts"] += 1
    names = ("labels", "abstentions", "readings", "seconds", "demonstrations", "verdicts")
    return [
        LedgerRow(protocol=p, node=n, evaluator=e, condition=c, **{name: sums[p, n, e, c][name] for name in names})
        for p, n, e, c in sorted(sums)
    ]


def test_the_ledger_counts_what_a_plain_loop_counts(store: Store, comparisons: Make) -> None:
    asked = comparisons(12) + comparisons(9, node="leaf")
    given_ = random_feedback(asked, random.Random(1))
    store.submit(asked)
    assert store.record(given_) == len(given_)
    assert store.record(given_) == 0
    ledger = store.ledger()
    assert len(ledger) > 20
    assert ledger == plain_ledger(given_, asked)
    assert all(type(row.labels) is int and type(row.seconds) is float for row in ledger)


def test_other_feedback_comes_back_as_it_was_and_in_order(store: Store, comparisons: Make) -> None:
    asked = comparisons(3)
    given_ = random_feedback(asked, random.Random(2))
    store.submit(asked)
    for start in range(0, len(given_), 7):
        store.record(given_[start : start + 7])
    of_root = [one for one in given_ if not isinstance(one, Preference) and one.node == "root"]
    assert len({type(one) for one in of_root}) == 4
    assert store.remarks("root", "recursive") == of_root
    assert store.remarks("root", "recursive", since=5) == of_root[5:]
    assert store.collect("root", "recursive") == [one for one in given_ if isinstance(one, Preference)]


@pytest.mark.parametrize("change", ["UPDATE feedback SET probability = 0", "DELETE FROM feedback"])
def test_the_database_refuses_to_change_an_answer(
    store: Store, comparisons: Make, behind: sa.Engine, change: str
) -> None:
    asked = comparisons(2)
    store.submit(asked)
    store.record(answers(asked))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), behind.begin() as connection:
        connection.execute(sa.text(change))
    assert store.collect("root", "recursive") == answers_at(store, asked)


def answers_at(store: Store, asked: list[Comparison]) -> list[Preference]:
    stored = store.answered([one.id for one in asked])
    assert [one.probability for one in stored.values()] == [0.0, 1.0]
    return list(stored.values())


def test_the_server_refuses_to_empty_the_answers(database: str, comparisons: Make) -> None:
    with open_store(database) as store:
        store.submit(comparisons(1))
        engine = sa.create_engine(sa.make_url(database).set(drivername="postgresql+psycopg"))
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE feedback CASCADE"))
        engine.dispose()


def test_sqlite_refuses_to_replace_an_answer(tmp_path: Path, comparisons: Make) -> None:
    with open_store(tmp_path / "store.db") as store:
        store.submit(comparisons(1))
        store.record(answers(comparisons(1)))
        replace = "INSERT OR REPLACE INTO feedback SELECT * FROM feedback"
        with pytest.raises(StoreError, match="append-only"), store._writing() as connection:
            connection.exec_driver_sql(replace)


def test_a_later_answer_never_appears_before_an_earlier_one(target: str, comparisons: Make) -> None:
    asked = comparisons(4)
    with open_store(target, run="test") as slow, open_store(target, run="test") as quick:
        slow.submit(asked)
        with ThreadPoolExecutor(1) as pool:
            with slow._writing() as connection:
                add_preferences(connection, slow._run, answers(asked[:2], "slow"))
                second = pool.submit(quick.record, answers(asked[2:], "quick"))
                with pytest.raises(TimeoutError):
                    second.result(timeout=0.2)  # has to wait for the first
                assert slow.collect("root", "recursive") == []  # not yet committed
            assert second.result(timeout=30) == 2
        order = [one.evaluator for one in slow.collect("root", "recursive")]
    assert order == ["slow", "slow", "quick", "quick"]


def test_a_reader_who_counts_misses_no_answer_of_concurrent_writers(target: str, comparisons: Make) -> None:
    asked = comparisons(60)
    with open_store(target) as store:
        store.submit(asked)
        seen: list[Preference] = []
        with ThreadPoolExecutor(3) as pool:
            writing = [
                pool.submit(lambda mine: [store.record([one]) for one in mine], answers(asked[part::3]))
                for part in range(3)
            ]
            while not all(writer.done() for writer in writing):
                seen += store.collect("root", "recursive", since=len(seen))
            for writer in writing:
                writer.result()
        seen += store.collect("root", "recursive", since=len(seen))
        assert seen == store.collect("root", "recursive")
        assert len(seen) == 60


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples of a property."""
    if request.param == "sqlite":
        target = str(tmp_path_factory.mktemp("lasting") / "store.db")
    else:
        target = str(request.getfixturevalue("server"))
    with open_store(target, run="properties") as opened:
        yield opened


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@settings(max_examples=40)
@given(payload=st.dictionaries(TEXT, JSON, max_size=4), fields=st.none() | st.binary(max_size=50))
def test_any_payload_comes_back_as_it_was(lasting: Store, payload: dict[str, object], fields: bytes | None) -> None:
    asked = {"node": "n", "protocol": "p", "question": "", "budget": 0, "policy_versions": {}}
    name = comparison_id(run=lasting.run, payload=payload, **asked)  # type: ignore[arg-type]
    new = lasting.submit([Comparison(id=name, payload=payload, fields=fields, **asked)])  # type: ignore[arg-type]
    stored = lasting.comparisons([name])[name]
    assert stored.payload == payload
    assert canonical_json(stored.payload) == canonical_json(payload)  # 1 is not 1.0, 0.0 is not -0.0
    assert stored.fields == fields or not new


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


@settings(max_examples=40)
@given(
    evaluator=names,
    probability=st.none() | st.floats(0, 1),
    seconds=st.floats(0, allow_infinity=False, allow_nan=False),
    claims_seen=st.lists(st.integers(0, 2**40), max_size=4).map(tuple),
    rationale=names,
)
def test_any_answer_comes_back_as_it_was(lasting: Store, evaluator: str, **more: object) -> None:
    asked = {"node": "n", "protocol": "q", "question": "", "budget": 0, "policy_versions": {}, "payload": {}}
    name = comparison_id(run=lasting.run, **asked)  # type: ignore[arg-type]
    lasting.submit([Comparison(id=name, **asked)])  # type: ignore[arg-type]
    preference = Preference(comparison=name, evaluator=evaluator, **more)  # type: ignore[arg-type]
    new = lasting.record([preference])
    stored = lasting.answered([name], evaluator=evaluator)[name]
    assert stored == preference if new else stored.evaluator == evaluator
