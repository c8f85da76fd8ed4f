"""What a labeller does with a comparison that it has on lease: read, open claims, draft, report, take back.

Every function works inside the caller's write transaction and locks the lease first, so that two requests of one
labeller follow each other. A reading and its count on the meter are one row: what the row says was read, was counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from rewardtree.errors import BudgetError, LeaseError, StoreError
from rewardtree.preferences.checks import canonical_json, check_text
from rewardtree.preferences.leasing import give_back
from rewardtree.preferences.rows import Found, comparison_of
from rewardtree.preferences.schema import (
    DONE,
    OPEN,
    RELEASED,
    claim_opening,
    comparison,
    feedback,
    label_draft,
    label_report,
    lease,
    reading,
    run,
    withdrawal,
)
from rewardtree.preferences.values import PEOPLE, Comparison, Condition
from rewardtree.tasks.board import unpack

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
        since: when the comparison was first shown, seconds since 1970.
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
        return mode_of(self.comparison)

    @property
    def condition(self) -> Condition:
        """Under which condition the next answer is given."""
        if self.stage == "revise":
            return "revised"
        return "assisted" if self.shows_claims else "unaided"


def mode_of(asked: Comparison) -> str:
    """How a comparison is put to people."""
    return str(asked.payload.get(PEOPLE, {}).get("mode", "assisted"))


def held(
    connection: Connection, runs: Sequence[int], labeller: str, token: str, now: float, *, lock: bool = True
) -> Found:
    """The row of a labeller's lease, locked if it is to be changed.

    Raises:
        LeaseError: it is not this labeller's, is answered, or ran out.
    """
    which = {"token": token, "labeller": labeller, "runs": runs}
    row = connection.execute(_LEASE.with_for_update() if lock else _LEASE, which).first()
    if row is None:
        raise LeaseError("no such comparison is yours; ask for the next one")
    if row.state == DONE:
        raise LeaseError("this comparison is answered; ask for the next one")
    if row.state == RELEASED or row.expires_at <= now:
        raise LeaseError("the time for this comparison ran out; ask for the next one, it may be this one again")
    return row


def work_of(connection: Connection, row: Found) -> Work:
    """All that is known of a lease.

    Args:
        connection: a connection.
        row: of the lease.
    """
    asked = connection.execute(_ASKED, {"seq": row.comparison}).one()
    found, which = comparison_of(asked), {"lease": row.seq}
    readings, opened = readings_of(connection, row.seq), connection.execute(_OPENED, which).scalars()
    body = connection.execute(_DRAFT, which).scalar()
    given = connection.execute(_STANDS, which).first()
    mode = mode_of(found)
    before = None if given is None else next((c for c in get_args(Choice) if CHOICES[c] == given.probability), None)
    return Work(
        comparison=found, run=asked.run_name, token=row.token, swapped=swapped(row.token),
        stage="answer" if given is None else "revise", before=before,
        shows_claims=mode == "assisted" or given is not None, readings=readings,
        left=max(0, found.budget - len(readings)), opened=tuple(sorted(opened)),
        draft=orjson.loads(body) if body else {}, since=row.given_at, expires_at=row.expires_at,
    )  # fmt: skip


def swapped(token: str) -> bool:
    """Whether the second output stands on the left: an even chance, the same for a token whenever it is asked for."""
    return bool(sum(token.encode()) % 2)


def readings_of(connection: Connection, seq: int) -> tuple[Reading, ...]:
    """The readings under a lease."""
    return tuple(
        Reading(
            number=row.number, side="second" if row.second else "first", instrument=row.instrument, place=row.place,
            value=row.value, time=row.time,
        )
        for row in connection.execute(_READINGS, {"lease": seq})
    )  # fmt: skip


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
    asked = connection.execute(
        sa.select(comparison.c.budget, comparison.c.fields).where(comparison.c.seq == row.comparison)
    ).one()
    value = _value(asked.fields, side, *what)
    used = connection.execute(
        sa.select(sa.func.count()).select_from(reading).where(reading.c.lease == row.seq)
    ).scalar_one()
    if used >= asked.budget:
        raise BudgetError(
            f"the meter is used up: {asked.budget} of {asked.budget} readings are taken; judge by what you know"
        )
    connection.execute(
        sa.insert(reading).values(
            lease=row.seq, number=used + 1, second=side == "second", instrument=what[0], place=what[1], value=value,
            time=now,
        )
    )  # fmt: skip


def _value(packed: bytes | None, side: str, instrument: str, place: int) -> float | None:
    shown = unpack(packed).get(side, {}) if packed else {}
    for one in shown.get("instruments", ()):
        if one["name"] == instrument:
            if not any(spot[0] == place for spot in one["places"]):
                raise StoreError(f"{instrument} reads no place {place} here; choose one that is marked")
            value = one["values"][place]
            return None if value is None else float(value)
    raise StoreError(f"there is no instrument {instrument!r} here; choose one that is shown")


def open_claim(connection: Connection, row: Found, claim: int, now: float) -> None:
    """Notes that a claim was opened; the first time counts.

    Raises:
        StoreError: there is no such claim, or claims are not in sight yet.
    """
    work = work_of(connection, row)
    sides = (work.comparison.payload.get(side) for side in ("first", "second"))
    count = sum(len(side.get("claims", ())) for side in sides if isinstance(side, dict))
    if not work.shows_claims or not 0 <= claim < count:
        raise StoreError(f"there is no claim {claim} to open here")
    _upsert(connection, claim_opening, {"lease": row.seq, "claim": claim, "time": now}, None)


def save_draft(connection: Connection, row: Found, draft: Mapping[str, Any]) -> None:
    """Keeps what is written of an answer; the latest draft is kept.

    Raises:
        StoreError: it is too long or not JSON-able.
    """
    body = canonical_json(dict(draft), "draft").decode()
    if len(body) > LONGEST_TEXT:
        raise StoreError(f"a draft has {LONGEST_TEXT} characters at most; shorten it")
    check_text("draft", body)
    _upsert(connection, label_draft, {"lease": row.seq, "body": body}, "body")


def report(connection: Connection, row: Found, text: str, now: float) -> None:
    """Sets a broken comparison aside: nobody is given it, until it is put back.

    Raises:
        StoreError: the text is empty, too long, or one that no database can keep.
    """
    check_text("report", text)
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise StoreError(f"say in 1 to {LONGEST_TEXT} characters what is wrong")
    values = {"lease": row.seq, "text": text, "time": now, "open": True}
    _upsert(connection, label_report, values, "text", "time", "open")
    connection.execute(sa.update(comparison).where(comparison.c.seq == row.comparison).values(aside=True))
    give_back(connection, lease.c.seq == row.seq)


def put_back(connection: Connection, runs: Sequence[int], name: str) -> bool:
    """Gives a comparison that was set aside out again; False where none of that id was."""
    mine = (comparison.c.id == name, comparison.c.run.in_(runs))
    done = connection.execute(sa.update(comparison).where(*mine, comparison.c.aside).values(aside=False)).rowcount
    leases = sa.select(lease.c.seq).join(comparison, lease.c.comparison == comparison.c.seq).where(*mine)
    connection.execute(sa.update(label_report).where(label_report.c.lease.in_(leases)).values(open=False))
    return bool(done)


def undo(connection: Connection, runs: Sequence[int], labeller: str, until: float, now: float) -> Found | None:
    """Takes a labeller's last answer back and gives it the comparison again; what it holds meanwhile is given back.

    Args:
        connection: a connection in a write transaction.
        runs: numbers of the runs.
        labeller: whose answer.
        until: when the lease ends.
        now: seconds since 1970.

    Returns:
        The row of the lease, or None where there is nothing to take back.
    """
    last = connection.execute(
        sa.select(feedback.c.seq, feedback.c.lease)
        .outerjoin(withdrawal, withdrawal.c.feedback == feedback.c.seq)
        .where(feedback.c.run.in_(runs), feedback.c.evaluator == labeller, feedback.c.lease.is_not(None))
        .where(withdrawal.c.feedback.is_(None))
        .order_by(feedback.c.seq.desc())
        .limit(1)
    ).first()
    if last is None:
        return None
    mine = (lease.c.run.in_(runs), lease.c.labeller == labeller)
    connection.execute(sa.select(lease.c.seq).where(*mine, lease.c.state != DONE).with_for_update())
    connection.execute(sa.insert(withdrawal).values(feedback=last.seq, time=now))
    give_back(connection, *mine, lease.c.state == OPEN, lease.c.seq != last.lease)
    connection.execute(sa.update(lease).where(lease.c.seq == last.lease).values(state=OPEN, expires_at=until))
    return connection.execute(sa.select(lease).where(lease.c.seq == last.lease)).one()


def _upsert(connection: Connection, table: sa.Table, values: Mapping[str, Any], *changed: str | None) -> None:
    """Inserts a row; where its key is there already, changes the named columns or nothing."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row, keys = insert(table).values(**values), [column.name for column in table.primary_key]
    named = {name: row.excluded[name] for name in changed if name}
    new = row.on_conflict_do_update(index_elements=keys, set_=named) if named else row.on_conflict_do_nothing()
    connection.execute(new)


# --- statements, made once: making one takes longer than running it ---

_THIS: sa.BindParameter[Any] = sa.bindparam("lease")
_LEASE = sa.select(lease).where(
    lease.c.token == sa.bindparam("token"),
    lease.c.labeller == sa.bindparam("labeller"),
    lease.c.run.in_(sa.bindparam("runs", expanding=True)),
)
_ASKED = (
    sa.select(comparison, run.c.name.label("run_name"))
    .join(run, comparison.c.run == run.c.seq)
    .where(comparison.c.seq == sa.bindparam("seq"))
)
_READINGS = sa.select(reading).where(reading.c.lease == _THIS).order_by(reading.c.number)
_OPENED = sa.select(claim_opening.c.claim).where(claim_opening.c.lease == _THIS)
_DRAFT = sa.select(label_draft.c.body).where(label_draft.c.lease == _THIS)
_STANDS = (
    sa.select(feedback.c.seq, feedback.c.probability)
    .outerjoin(withdrawal, withdrawal.c.feedback == feedback.c.seq)
    .where(feedback.c.lease == _THIS, withdrawal.c.feedback.is_(None))
    .limit(1)
)
