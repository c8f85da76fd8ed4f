"""Comparisons in people's hands, on both engines: accounts, meters, claims, two answers, undo, reports."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rewardtree.errors import AccountError, BudgetError, LeaseError, StoreError
from rewardtree.preferences import Comparison, Store, comparison_ids, open_store, project
from rewardtree.preferences.labelling import Labelling, open_labelling
from rewardtree.preferences.leasing import ABSENT
from rewardtree.tasks.board import Board, Instrument, Shown, ShownClaim, ShownSide, pack

SHARED: dict[str, Any] = {"node": "root", "protocol": "rrm", "question": "Which is better?", "policy_versions": {}}


def blob(number: float) -> bytes:
    """Two outputs with a thermometer at three places and a claim each."""

    def side(start: float) -> ShownSide:
        thermometer = Instrument(
            name="temperature", label="Thermometer", unit="°C", digits=1, values=(start, start + 1, None),
            places=tuple((i, f"cell {i}", (10.0 * i, 0.0, 10.0, 10.0)) for i in range(3)),
        )  # fmt: skip
        claim = ShownClaim(
            author="heat", version="1", quantity="heat", pointer="hottest at cell 1",
            statement="hottest at cell 1: 5 °C", place=1, place_label="cell 1", box=(10.0, 0.0, 10.0, 10.0),
            instrument="temperature", reliability=0.9,
        )  # fmt: skip
        board = Board(kind="text", media_type="text/plain", data="a layout", alt="a layout")
        return ShownSide(board=board, instruments=(thermometer,), claims=(claim,))

    return pack(Shown(first=side(number), second=side(number + 100)))


def asked(store: Store, count: int, *, mode: str = "assisted", budget: int = 2, **more: Any) -> list[Comparison]:
    """Comparisons in the store, each different."""
    said = {"claims": [{"author": "heat"}]}
    payloads = [
        {"first": said, "second": said, "at": i, "people": {"mode": mode, "view": "evidence"}} for i in range(count)
    ]
    names = comparison_ids(payloads, run=store.run, budget=budget, **SHARED)
    found = [
        Comparison(id=name, payload=payload, budget=budget, fields=blob(float(i)), **SHARED, **more)
        for i, (name, payload) in enumerate(zip(names, payloads, strict=True))
    ]
    store.submit(found)
    return found


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(shared: str, clock: Clock) -> Iterator[Labelling]:
    opened = open_labelling(shared, uuid.uuid4().hex, clock=clock, lease_seconds=100.0)
    yield opened
    opened.close()


@pytest.fixture
def store(shared: str, desk: Labelling, clock: Clock) -> Iterator[Store]:
    with open_store(shared, run=f"{desk.key}/0", clock=clock) as opened:
        yield opened


def test_an_invitation_makes_as_many_accounts_as_it_allows(desk: Labelling, clock: Clock) -> None:
    code = desk.invite(uses=2)
    assert desk.join(code, "ada", "long enough").role == "labeller"
    for name, password, why in (
        ("ada", "long enough", "taken"), ("bob", "short", "8 to"), ("", "long enough", "letters"),
        ("a\0b", "long enough", "letters"), ("<b>", "long enough", "letters"),
    ):  # fmt: skip
        with pytest.raises(AccountError, match=why):
            desk.join(code, name, password)
    desk.join(code, "bob", "long enough")
    for bad in (code, "x", desk.invite(seconds=10.0)):
        clock.now += 11
        with pytest.raises(AccountError, match="invitation"):
            desk.join(bad, "cyd", "long enough")
    assert [one.name for one in desk.accounts()] == ["ada", "bob"]


def test_a_session_opens_with_the_right_password_only(desk: Labelling, clock: Clock, shared: str) -> None:
    desk.set_password("ada", "long enough", "researcher")
    for name, password in (("ada", "wrong one"), ("bob", "long enough"), ("ada", ""), ("a\0", "long enough")):
        with pytest.raises(AccountError, match="wrong"):
            desk.sign_in(name, password)
    token, session = desk.sign_in("ada", "long enough")
    assert desk.session(token) == session and session.account.role == "researcher"
    elsewhere = open_labelling(shared, "another project", clock=clock)
    assert elsewhere.session(token) is None
    elsewhere.close()
    second, _ = desk.sign_in("ada", "long enough")
    desk.sign_out(token)
    assert desk.session(token) is None and desk.session(second) is not None
    clock.now += 15 * 86400
    assert desk.session(second) is None
    third, _ = desk.sign_in("ada", "long enough")
    assert desk.deactivate("ada") and desk.session(third) is None
    with pytest.raises(AccountError, match="wrong"):
        desk.sign_in("ada", "long enough")


def test_the_meter_counts_and_refuses(desk: Labelling, store: Store) -> None:
    asked(store, 1)
    work = desk.next("ada")
    assert work is not None and (work.left, work.readings, work.shows_claims) == (2, (), True)
    for side, instrument, place in (("first", "thermometer", 0), ("first", "temperature", 7)):
        with pytest.raises(StoreError, match=r"no instrument|no place"):
            desk.read("ada", work.token, side, instrument, place)  # type: ignore[arg-type]
    assert desk.read("ada", work.token, "first", "temperature", 1).readings[-1].value == 1.0
    assert desk.read("ada", work.token, "second", "temperature", 2).readings[-1].value is None
    with pytest.raises(BudgetError, match="2 of 2 readings"):
        desk.read("ada", work.token, "first", "temperature", 1)
    again = desk.next("ada")
    assert again is not None and again.token == work.token and len(again.readings) == 2 and again.left == 0
    assert desk.answer("ada", work.token, "slightly_first")
    (row,) = store.ledger()
    assert (row.evaluator, row.labels, row.readings) == ("person/ada", 1, 2)


def test_many_requests_at_once_get_what_the_meter_holds(desk: Labelling, store: Store) -> None:
    asked(store, 1, budget=3)
    work = desk.next("ada")
    assert work is not None
    start = threading.Barrier(6)

    def hurry(_: int) -> bool:
        start.wait()
        try:
            desk.read("ada", work.token, "first", "temperature", 0)
        except BudgetError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(hurry, range(6))) == 3
    assert [one.number for one in desk.work("ada", work.token).readings] == [1, 2, 3]


def test_nobody_works_on_anothers_lease(desk: Labelling, store: Store, clock: Clock) -> None:
    asked(store, 1)
    work = desk.next("ada")
    assert work is not None
    deeds: tuple[Callable[[], Any], ...] = (
        lambda: desk.work("bob", work.token),
        lambda: desk.read("bob", work.token, "first", "temperature", 0),
        lambda: desk.open_claim("bob", work.token, 0),
        lambda: desk.answer("bob", work.token, "first"),
        lambda: desk.report("bob", work.token, "broken"),
        lambda: desk.work("ada", "no such token"),
    )
    for deed in deeds:
        with pytest.raises(LeaseError, match="yours"):
            deed()
    assert desk.next("bob") is None
    clock.now += 101
    with pytest.raises(LeaseError, match="ran out"):
        desk.read("ada", work.token, "first", "temperature", 0)
    other = desk.next("bob")
    assert other is not None and other.token != work.token
    with pytest.raises(StoreError, match="somebody else"):
        desk.answer("ada", work.token, "first")
    assert desk.answer("bob", other.token, "second") and not desk.answer("bob", other.token, "first")
    (only,) = desk.records().answers
    assert (only.labeller, only.probability) == ("bob", 0.0)


def test_work_prolongs_the_lease(desk: Labelling, store: Store, clock: Clock) -> None:
    asked(store, 1)
    work = desk.next("ada")
    assert work is not None
    for _ in range(3):
        clock.now += 90
        desk.save_draft("ada", work.token, {"rationale": "hm"})
    assert desk.next("bob") is None
    kept = desk.work("ada", work.token)
    assert kept.draft == {"rationale": "hm"} and kept.since == work.since
    desk.answer("ada", work.token, "tie")
    assert desk.records().answers[0].seconds == 270.0


def test_time_away_is_not_time_spent(desk: Labelling, store: Store, clock: Clock) -> None:
    asked(store, 3)
    work = desk.next("ada")
    assert work is not None
    clock.now += 20
    desk.read("ada", work.token, "first", "temperature", 1)
    clock.now += 7200  # the lease runs out
    again = desk.next("ada")
    assert again is not None and again.token == work.token
    clock.now += 10
    desk.answer("ada", work.token, "first")
    late = desk.next("ada")
    assert late is not None
    clock.now += 7200
    desk.answer("ada", late.token, "first")  # nobody took it meanwhile
    quick = desk.next("ada")
    assert quick is not None
    clock.now += 5
    desk.answer("ada", quick.token, "first")
    assert [one.seconds for one in desk.records().answers] == [20 + ABSENT + 10, ABSENT, 5]


def test_time_away_within_a_lease_is_not_time_spent(shared: str, store: Store, desk: Labelling, clock: Clock) -> None:
    asked(store, 1)
    patient = open_labelling(shared, desk.key, clock=clock, lease_seconds=7200.0)
    work = patient.next("ada")
    assert work is not None
    for away in (3600, 200, 3600, 100):
        clock.now += away
        patient.save_draft("ada", work.token, {})
    clock.now += 3600
    patient.answer("ada", work.token, "first")
    assert patient.records().answers[0].seconds == 3 * ABSENT + 300
    patient.close()


def test_the_time_of_a_revised_answer_begins_with_the_first(desk: Labelling, store: Store, clock: Clock) -> None:
    asked(store, 1, mode="revise")
    work = desk.next("ada")
    assert work is not None
    clock.now += 80
    desk.answer("ada", work.token, "first")
    clock.now += 90
    assert desk.next("bob") is None, "the first answer is a sign of work"
    desk.open_claim("ada", work.token, 0)
    desk.answer("ada", work.token, "second")
    assert [one.seconds for one in desk.records().answers] == [80, 90]
    assert sum(row.seconds for row in store.ledger()) == 170


def test_progress_tells_what_others_have_open(
    desk: Labelling, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "RECENT", 0.0)
    asked(store, 3)
    given = [desk.next("ada"), desk.next("bob")]
    assert [desk.progress(name).elsewhere for name in ("ada", "bob", "cyd")] == [1, 1, 2]
    assert given[0] is not None
    desk.report("ada", given[0].token, "empty")
    clock.now += 99
    assert desk.progress("cyd").elsewhere == 1
    clock.now += 1
    assert desk.progress("cyd").elsewhere == 0, "it ran out"


def test_judge_reveal_revise(desk: Labelling, store: Store) -> None:
    (one,) = asked(store, 1, mode="revise")
    work = desk.next("ada")
    assert work is not None and not work.shows_claims and work.stage == "answer"
    with pytest.raises(StoreError, match="no claim"):
        desk.open_claim("ada", work.token, 0)
    assert desk.answer("ada", work.token, "second")
    again = desk.next("ada")
    assert again is not None and (again.token, again.stage, again.shows_claims) == (work.token, "revise", True)
    for claim in (1, 1, 0):
        desk.open_claim("ada", work.token, claim)
    with pytest.raises(StoreError, match="no claim"):
        desk.open_claim("ada", work.token, 2)
    assert desk.answer("ada", work.token, "first") and not desk.answer("ada", work.token, "first")
    found = [(a.condition, a.probability, a.claims_seen, a.claims) for a in desk.records().answers]
    assert found == [("unaided", 0.0, (), 2), ("revised", 1.0, (0, 1), 2)]
    assert [a.probability for a in store.answers([one.id])[one.id]] == [0.0, 1.0]


def test_the_last_answer_can_be_taken_back_and_is_kept(desk: Labelling, store: Store, clock: Clock) -> None:
    ids = [one.id for one in asked(store, 3)]
    assert desk.undo("ada") is None
    first = desk.next("ada")
    assert first is not None
    desk.answer("ada", first.token, "first")
    held = desk.next("ada")
    assert held is not None and held.token != first.token
    back = desk.undo("ada")
    assert back is not None and back.token == first.token and desk.next("ada") == back
    assert store.answered(ids) == {} and store.ledger() == [] and desk.progress("ada").answered == 0
    assert desk.answer("ada", first.token, "second")
    assert store.answered(ids)[first.comparison.id].probability == 0.0
    kept = [(a.probability, a.withdrawn) for a in desk.records().answers]
    assert kept == [(1.0, True), (0.0, False)]
    after = desk.next("ada")
    assert after is not None and after.token == held.token, "what was held meanwhile comes again"
    for _ in range(2):  # the same answer is taken back as often as one likes
        assert desk.undo("ada") is not None
        assert desk.answer("ada", first.token, "tie")
    assert [a.withdrawn for a in desk.records().answers] == [True, True, True, False]


def test_both_answers_of_one_comparison_can_be_taken_back(desk: Labelling, store: Store) -> None:
    asked(store, 1, mode="revise")
    work = desk.next("ada")
    assert work is not None
    desk.answer("ada", work.token, "first")
    desk.answer("ada", work.token, "second")
    stages = [back.stage for back in (desk.undo("ada"), desk.undo("ada")) if back is not None]
    assert stages == ["revise", "answer"] and desk.undo("ada") is None


def test_a_broken_comparison_is_set_aside_until_it_is_put_back(desk: Labelling, store: Store) -> None:
    (one,) = asked(store, 1, slots=2)
    work, other = desk.next("ada"), desk.next("bob")
    assert work is not None and other is not None
    with pytest.raises(StoreError, match="what is wrong"):
        desk.report("ada", work.token, "  ")
    assert desk.report("ada", work.token, "the picture is empty")
    assert desk.next("ada") is None and desk.next("cyd") is None and store.pending() == 0
    with pytest.raises(StoreError, match="set aside"):
        desk.answer("bob", other.token, "first")
    (report,) = desk.records().reports
    assert (report.comparison, report.labeller, report.text, report.open) == (
        one.id, "ada", "the picture is empty", True,
    )  # fmt: skip
    assert desk.put_back(one.id) and not desk.put_back(one.id)
    assert not desk.records().reports[0].open and desk.answer("bob", other.token, "first")
    assert desk.next("ada") is not None


def test_a_repeat_comes_to_who_answered_the_original_and_later(desk: Labelling, store: Store) -> None:
    originals = asked(store, 7)
    payload = originals[0].payload | {"repeats": originals[0].id}
    (name,) = comparison_ids([payload], run=store.run, budget=2, **SHARED)
    store.submit([
        Comparison(
            id=name, payload=payload, budget=2, priority=9.0, purpose="repeat", original=originals[0].id, **SHARED
        )
    ])  # fmt: skip
    seen = []
    while (work := desk.next("ada")) is not None:
        seen.append(work.comparison.id)
        desk.answer("ada", work.token, "first")
    assert seen.index(name) == 6, "after five others"
    assert desk.next("bob") is None


def test_all_runs_of_the_project_are_served_and_no_others(desk: Labelling, store: Store, shared: str) -> None:
    for run in (f"{desk.key}/1", f"{desk.key}x", "other"):
        with open_store(shared, run=run) as more:
            asked(more, 1, budget=hash(run) % 1000 + 1)
    asked(store, 1)
    runs = set()
    while (work := desk.next("ada")) is not None:
        runs.add(work.run)
        desk.answer("ada", work.token, "first")
    assert runs == {f"{desk.key}/0", f"{desk.key}/1"}
    assert desk.progress("ada").answered == 2 == len(desk.records().answers)


def test_undo_after_the_lease_ran_out_takes_a_slot_or_is_refused(desk: Labelling, store: Store, clock: Clock) -> None:
    asked(store, 1, mode="revise")
    work = desk.next("ada")
    assert work is not None
    desk.answer("ada", work.token, "first")
    clock.now += 101
    other = desk.next("bob")
    assert other is not None and desk.undo("ada") is None, "bob has it now"
    clock.now += 101
    assert desk.next("cyd") is not None
    clock.now += 101
    assert desk.undo("ada") is not None and desk.next("bob") is None, "free again, and taken again"
    clock.now += 101
    assert desk.next("bob") is not None


def test_a_first_answer_stands_once_a_claim_was_seen(desk: Labelling, store: Store) -> None:
    asked(store, 1, mode="revise")
    work = desk.next("ada")
    assert work is not None
    desk.answer("ada", work.token, "first")
    desk.open_claim("ada", work.token, 0)
    assert desk.undo("ada") is None
    desk.answer("ada", work.token, "second")
    assert desk.undo("ada") is not None and desk.undo("ada") is None, "the second answer can be given again"


def test_an_answer_to_what_is_set_aside_is_not_taken_back(desk: Labelling, store: Store) -> None:
    asked(store, 1, slots=2)
    work, other = desk.next("ada"), desk.next("bob")
    assert work is not None and other is not None
    desk.answer("ada", work.token, "first")
    desk.report("bob", other.token, "empty")
    assert desk.undo("ada") is None and len(store.ledger()) == 1
