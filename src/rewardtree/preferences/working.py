"""What a labeller does with a comparison that it has on lease: read, open claims, draft, report, take back.

Every function works inside the caller's write transaction and locks the lease first, so that two requests of one
labeller follow each other. A reading and its count on the meter are one row: what the row says was read, was counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from rewardtree.errors import BudgetError, LeaseError, StoreError
from rewardtree.preferences.checks import canonical_json, check_text
from rewardtree.preferences.leasing import give_back
from rewardtree.preferences.rows import Found, claims_in, comparison_of, mode_of
from rewardtree.preferences.schema import (
    DONE,
    RELEASED,
    STANDS,
    claim_opening,
    comparison,
    feedback,
    label_draft,
    label_report,
    lease,
    reading,
    run,
)
from rewardtree.preferences.values import Comparison, Condition
from rewardtree.tasks.board import outline, part_of

Side = Literal["first", "second"]
Stage = Literal["answer", "revise"]
Choice = Literal["first", "slightly_first", "tie", "slightly_second", "second", "cannot_tell"]
CHOICES: Mapping[str, float | None] = MappingProxyType(
    dict(zip(get_args(Choice), (1.0, 0.75, 0.5, 0.25, 0.0, None), strict=True))
)
"""What a person may answer, in the comparison's own order, as the probability that the first is better."""
LONGEST_TEXT = 10_000
"""Characters of a rationale, a report or a draft."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One use of an instrument; `value` is None where there was nothing to read."""

    number: int
    side: Side
    instrument: str
    place: int
    value: float | None
    time: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A comparison in a labeller's hands.

    Attributes:
        comparison: what is compared.
        run: name of its run.
        token: of the lease; answers are given with it.
        swapped: whether the second output stands on the left; drawn by chance with the token.
        stage: `revise` once the first of two answers is given.
        before: the first of two answers, once it is given.
        shows_claims: whether the helpers' claims are in sight at this stage.
        readings: used so far, oldest first.
        left: readings that the meter still grants.
        opened: positions of the claims that were opened, sorted.
        draft: what was saved of an answer that is not given yet.
        since: when the time spent on this answer begins to count, seconds since 1970; time away moves it.
        expires_at: when the lease ends, unless it is asked for again.
    """

    comparison: Comparison
    run: str
    token: str
    swapped: bool
    stage: Stage
    before: Choice | None
    shows_claims: bool
    readings: tuple[Reading, ...]
    left: int
    opened: tuple[int, ...]
    draft: Mapping[str, Any]
    since: float
    expires_at: float

    @property
    def mode(self) -> str:
        """Whether claims are shown: `assisted`, `unaided` or `revise`."""
        return mode_of(self.comparison.payload)


def held(
    connection: Connection, runs: Sequence[int], labeller: str, token: str, now: float, *, lock: bool = True
) -> Found:
    """The row of a labeller's lease with its comparison, the lease locked if it is to be changed.

    Raises:
        LeaseError: it is not this labeller's, is answered, or ran out.
    """
    which = {"token": token, "labeller": labeller, "runs": runs}
    row = connection.execute(HELD.with_for_update(of=lease) if lock else HELD, which).first()
    if row is None:
        raise LeaseError("no such comparison is yours; ask for the next one")
    if row.state == DONE:
        raise LeaseError("this comparison is answered; ask for the next one")
    if row.state == RELEASED or row.expires_at <= now:
        raise LeaseError("the time for this comparison ran out; ask for the next one, it may be this one again")
    return row


@dataclass(frozen=True, kw_only=True, slots=True)
class SoFar:
    """What was done under a lease.

    Attributes:
        readings: oldest first.
        opened: positions of the claims that were opened, sorted.
        draft: what was saved of an answer.
        given: probabilities of the answers that stand, oldest first.
        attempts: answers under each condition, those taken back included.
    """

    readings: tuple[Reading, ...] = ()
    opened: tuple[int, ...] = ()
    draft: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[float | None, ...] = ()
    attempts: Mapping[str, int] = field(default_factory=dict)


def so_far(connection: Connection, seq: int) -> SoFar:
    """What was done under a lease, by its number."""
    kinds: dict[str, list[Found]] = {kind: [] for kind in ("reading", "opening", "draft", "answer")}
    for row in connection.execute(_SO_FAR, {"lease": seq}):
        kinds[row.kind].append(row)
    readings = tuple(
        Reading(
            number=row.number, side="second" if row.second else "first", instrument=row.text, place=row.place,
            value=row.value, time=row.time,
        )
        for row in sorted(kinds["reading"], key=lambda row: row.number)
    )  # fmt: skip
    answers = sorted(kinds["answer"], key=lambda row: row.number)
    return SoFar(
        readings=readings,
        opened=tuple(sorted(row.number for row in kinds["opening"])),
        draft=orjson.loads(kinds["draft"][0].text) if kinds["draft"] else {},
        given=tuple(row.value for row in answers if not row.second),
        attempts=Counter(row.text for row in answers),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Of a lease: the run's name, the token, since when and until when."""

    run: str
    token: str
    since: float
    until: float


def work_of(row: Found, done: SoFar, terms: Terms | None = None) -> Work:
    """All that is known of a lease.

    Args:
        row: of the comparison, with its lease.
        done: under it.
        terms: of the lease, where they do not stand in the row.
    """
    terms = terms or Terms(run=row.run_name, token=row.token, since=row.given_at, until=row.expires_at)
    found = comparison_of(row)
    mode = mode_of(found.payload)
    before = None
    if done.given:
        before = next((choice for choice in get_args(Choice) if CHOICES[choice] == done.given[-1]), None)
    return Work(
        comparison=found, run=terms.run, token=terms.token, swapped=swapped(terms.token),
        stage="revise" if done.given else "answer", before=before,
        shows_claims=mode == "assisted" or bool(done.given), readings=done.readings,
        left=max(0, found.budget - len(done.readings)), opened=done.opened, draft=done.draft, since=terms.since,
        expires_at=terms.until,
    )  # fmt: skip


def condition_of(mode: str, done: SoFar) -> Condition:
    """Under which condition the next answer is given."""
    if mode == "assisted":
        return "assisted"
    return "revised" if done.given else "unaided"


def swapped(token: str) -> bool:
    """Whether the second output stands on the left: an even chance, the same for a token whenever it is asked for."""
    return bool(sum(token.encode()) % 2)


def read(connection: Connection, row: Found, side: Side, what: tuple[str, int], now: float) -> None:
    """Uses an instrument at a place, and counts it.

    Args:
        connection: a connection in a write transaction.
        row: of the lease, from `held`.
        side: of which output, in the comparison's own order.
        what: instrument and place.
        now: seconds since 1970.

    Raises:
        BudgetError: the meter refuses.
        StoreError: there is no such instrument or place.
    """
    value = _value(row.fields, side, *what)
    used = len(so_far(connection, row.lease).readings)
    if used >= row.budget:
        raise BudgetError(
            f"the meter is used up: {row.budget} of {row.budget} readings are taken; judge by what you know"
        )
    connection.execute(
        sa.insert(reading).values(
            lease=row.lease, number=used + 1, second=side == "second", instrument=what[0], place=what[1], value=value,
            time=now,
        )
    )  # fmt: skip


def _value(packed: bytes | None, side: str, instrument: str, place: int) -> float | None:
    shown = outline(packed).get(side, {}) if packed else {}
    for one in shown.get("instruments", ()):
        if one["name"] == instrument:
            if not any(spot[0] == place for spot in part_of(one, "places")):
                raise StoreError(f"{instrument} reads no place {place} here; choose one that is marked")
            told = not part_of(one, "texts") and not part_of(one, "pictures")
            value = part_of(one, "values")[place] if told else None
            return None if value is None else float(value)
    raise StoreError(f"there is no instrument {instrument!r} here; choose one that is shown")


def open_claim(connection: Connection, row: Found, claim: int, now: float) -> None:
    """Notes that a claim was opened; the first time counts.

    Raises:
        StoreError: there is no such claim, or claims are not in sight yet.
    """
    work = work_of(row, so_far(connection, row.lease))
    if not work.shows_claims or not 0 <= claim < claims_in(work.comparison.payload):
        raise StoreError(f"there is no claim {claim} to open here")
    _upsert(connection, claim_opening, {"lease": row.lease, "claim": claim, "time": now}, None)


def save_draft(connection: Connection, row: Found, draft: Mapping[str, Any]) -> None:
    """Keeps what is written of an answer; the latest draft is kept.

    Raises:
        StoreError: it is too long or not JSON-able.
    """
    body = canonical_json(dict(draft), "draft").decode()
    if len(body) > LONGEST_TEXT:
        raise StoreError(f"a draft has {LONGEST_TEXT} characters at most; shorten it")
    check_text("draft", body)
    _upsert(connection, label_draft, {"lease": row.lease, "body": body}, "body")


def report(connection: Connection, row: Found, text: str, now: float) -> None:
    """Sets a broken comparison aside: nobody is given it, until it is put back.

    Raises:
        StoreError: the text is empty, too long, or one that no database can keep.
    """
    check_text("report", text)
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise StoreError(f"say in 1 to {LONGEST_TEXT} characters what is wrong")
    values = {"lease": row.lease, "text": text, "time": now, "open": True}
    _upsert(connection, label_report, values, "text", "time", "open")
    connection.execute(sa.update(comparison).where(comparison.c.seq == row.seq).values(aside=True))
    give_back(connection, lease.c.seq == row.lease)


def put_back(connection: Connection, runs: Sequence[int], name: str) -> bool:
    """Gives a comparison that was set aside out again; False where none of that id was."""
    mine = (comparison.c.id == name, comparison.c.run.in_(runs))
    done = connection.execute(sa.update(comparison).where(*mine, comparison.c.aside).values(aside=False)).rowcount
    leases = sa.select(lease.c.seq).join(comparison, lease.c.comparison == comparison.c.seq).where(*mine)
    connection.execute(sa.update(label_report).where(label_report.c.lease.in_(leases)).values(open=False))
    return bool(done)


def _upsert(connection: Connection, table: sa.Table, values: Mapping[str, Any], *changed: str | None) -> None:
    """Inserts a row; where its key is there already, changes the named columns or nothing."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row, keys = insert(table).values(**values), [column.name for column in table.primary_key]
    named = {name: row.excluded[name] for name in changed if name}
    new = row.on_conflict_do_update(index_elements=keys, set_=named) if named else row.on_conflict_do_nothing()
    connection.execute(new)


# --- statements, made once: making one takes longer than running it ---

_THIS: sa.BindParameter[Any] = sa.bindparam("lease", type_=sa.BigInteger)


def _held(*columns: Any) -> sa.Select[Any]:
    """A lease with its comparison: `seq` and the like are the comparison's, `lease` is the lease's number."""
    own = (lease.c.seq.label("lease"), lease.c.token, lease.c.labeller, lease.c.state, lease.c.expires_at)
    return (
        sa.select(*columns, *own, lease.c.given_at, run.c.name.label("run_name"))
        .join_from(lease, comparison, lease.c.comparison == comparison.c.seq)
        .join(run, lease.c.run == run.c.seq)
    )


HELD = _held(comparison).where(
    lease.c.token == sa.bindparam("token"),
    lease.c.labeller == sa.bindparam("labeller"),
    lease.c.run.in_(sa.bindparam("runs", expanding=True)),
)
TO_ANSWER = (
    _held(*(column for column in comparison.c if column.name != "fields"))
    .where(lease.c.token == sa.bindparam("token"), lease.c.labeller == sa.bindparam("labeller"))
    .with_for_update(of=[run, lease], key_share=True)
)
"""Locks the run and then the lease; without what is drawn and read, which an answer does not need."""
BY_NUMBER = _held(comparison).where(lease.c.seq == _THIS)
_NOTHING, _NO_TEXT = sa.cast(sa.null(), sa.Double), sa.cast(sa.null(), sa.Text)


def _part(kind: str, of: sa.Table, number: Any, text: Any, **more: Any) -> sa.Select[Any]:
    named = {"second": sa.false(), "place": sa.literal(0), "value": _NOTHING, "time": _NOTHING} | more
    rest = (what.label(name) for name, what in named.items())
    return sa.select(
        sa.literal(kind, sa.Text).label("kind"), number.label("number"), text.label("text"), *rest
    ).where(of.c.lease == _THIS)  # fmt: skip


_SO_FAR = sa.union_all(
    _part(
        "reading", reading, sa.cast(reading.c.number, sa.BigInteger), reading.c.instrument, second=reading.c.second,
        place=reading.c.place, value=reading.c.value, time=reading.c.time,
    ),
    _part("opening", claim_opening, sa.cast(claim_opening.c.claim, sa.BigInteger), _NO_TEXT),
    _part("draft", label_draft, sa.literal(0, sa.BigInteger), label_draft.c.body),
    _part(
        "answer", feedback, feedback.c.seq, sa.cast(feedback.c.condition, sa.Text), second=~STANDS,
        value=feedback.c.probability,
    ),
)  # fmt: skip
