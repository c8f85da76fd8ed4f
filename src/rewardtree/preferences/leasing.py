"""Giving comparisons out to labellers: who may answer what, until when.

Every function works inside the caller's write transaction. On SQLite that transaction excludes all other
writers. On PostgreSQL a labeller's own requests queue up behind an advisory lock, and row locks that are
waited for are taken in one order, so that no two transactions wait for each other: the run, the leases of one
labeller, comparisons by number. Whatever else is locked is skipped where somebody else holds it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.errors import LeaseError, StoreError
from rewardtree.preferences.rows import Found, preference_row
from rewardtree.preferences.schema import DONE, OPEN, RELEASED, comparison, feedback, lease, withdrawal
from rewardtree.preferences.values import Preference

Runs: TypeAlias = Sequence[int]
HAS_SLOTS = comparison.c.slots_left > sa.literal_column("0")
"""Written out, not given beside the statement, so that the index of what waits can be used under any plan."""
GAP = 5
"""Answers that a labeller gives before a comparison is repeated."""
ABSENT = 300.0
"""Seconds without a sign of work past which a labeller is taken to be away; they do not count as time spent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A lease that was given: its token, and the comparison's row where the lease is a new one."""

    token: str
    question: Found | None


def queue_up(connection: Connection, runs: Runs, labeller: str) -> None:
    """Waits until no other transaction gives this labeller a comparison; before any lock is taken."""
    if runs and connection.dialect.name == "postgresql":
        connection.execute(_MINE, {"run": min(runs), "labeller": labeller})


def take(
    connection: Connection,
    runs: Runs,
    labeller: str,
    node: str | None,
    now: float,
    seconds: float,
    *,
    expired: bool = True,
) -> Given | None:
    """Gives a labeller its open lease, else the comparison it let expire, else the first one waiting.

    Args:
        connection: a connection in a write transaction in which the labeller has queued up.
        runs: numbers of the runs whose comparisons are given out.
        labeller: name of the labeller.
        node: give out this node's comparisons only; None for any.
        now: seconds since 1970.
        seconds: how long the lease lasts from now.
        expired: whether others' expired leases are looked for in any case; else only where nothing else waits.

    Returns:
        None where nothing waits for this labeller.
    """
    if not runs:
        return None
    which = {"runs": runs, "labeller": labeller, "at": node}
    begun = connection.execute(_LOCK_OWN, {"runs": runs, "labeller": labeller}).all()
    if expired or begun:
        release_expired(connection, runs, now)
    until = now + seconds
    held = None
    if begun:
        held = connection.execute(_own(OPEN), which).first() or connection.execute(_own(RELEASED), which).first()
    if held is not None:
        prolong(connection, held.lease, until)
        if held.state == RELEASED:
            take_slot(connection, held.seq)
        return Given(token=held.token, question=None)
    row = _first_waiting(connection, runs, labeller, node)
    if row is None and not expired:
        release_expired(connection, runs, now)
        row = _first_waiting(connection, runs, labeller, node)
    if row is None:
        return None
    token = secrets.token_urlsafe(32)
    connection.execute(
        _GIVE,
        {
            "run": row.run, "comparison": row.seq, "labeller": labeller, "token": token, "state": OPEN,
            "expires_at": until, "given_at": now,
        },
    )  # fmt: skip
    return Given(token=token, question=row)


def settle(connection: Connection, run: int, token: str, preference: Preference, final: bool) -> bool:
    """Stores the answer to a lease.

    Args:
        connection: a connection in a write transaction that holds the run's lock.
        run: number of the run.
        token: the lease's token.
        preference: the answer.
        final: False keeps the lease open for a revised answer.

    Returns:
        True if the answer is stored, False if the lease was answered already.

    Raises:
        StoreError: the token is unknown, or belongs to another comparison or labeller.
        LeaseError: the lease expired and somebody else took the last slot, or the comparison is set aside.
    """
    held = connection.execute(_HELD, {"token": token, "run": run}).first()
    if held is None:
        raise StoreError("no such lease in this run; ask for a new comparison")
    question = connection.execute(_QUESTION, {"seq": held.comparison}).one()
    if (preference.comparison, preference.evaluator) != (question.id, held.labeller):
        raise StoreError(
            f"the lease is {held.labeller}'s on comparison {question.id}, the answer is "
            f"{preference.evaluator}'s to {preference.comparison}; use the token that came with it"
        )
    if held.state == DONE:
        return False
    given, attempt = _given(connection, question.seq, preference)
    if not given:
        store_answer(connection, question, preference, lease=held.seq, state=held.state, attempt=attempt)
    if not given or final:
        finish(connection, held.seq, final)
    return not given


def store_answer(
    connection: Connection, question: Found, preference: Preference, *, lease: int, state: str, attempt: int
) -> None:
    """Stores an answer under a lease that is not answered.

    Args:
        connection: a connection in a write transaction that holds the run's lock.
        question: `run`, `seq`, `node`, `protocol` and `aside` of the comparison.
        preference: the answer.
        lease: number of the lease.
        state: of the lease.
        attempt: answers of this labeller under this condition that were taken back.

    Raises:
        LeaseError: the comparison is set aside, or the lease expired and somebody else took the last slot.
    """
    if question.aside:
        raise LeaseError("the comparison was reported as broken and is set aside; ask for a new one")
    if state == RELEASED and not take_slot(connection, question.seq):
        raise LeaseError("the lease expired and somebody else got the comparison; ask for a new one")
    connection.execute(_ANSWER, preference_row(question.run, preference, question, lease=lease, attempt=attempt))


def prolong(connection: Connection, lease: int, until: float) -> None:
    """Keeps a lease open, or opens it again, until then; time away since it was last prolonged is not counted."""
    connection.execute(_PROLONG, {"which": lease, "until": until})


def restart(connection: Connection, lease: int, now: float, until: float) -> None:
    """Keeps a lease open for a revised answer, whose time begins now."""
    connection.execute(_RESTART, {"which": lease, "now": now, "until": until})


def begun(held: Found, until: float) -> float:
    """When the time spent on a comparison begins to count.

    Every sign of work puts a lease's end the same time ahead, so that its end tells when the last one was.

    Args:
        held: `given_at` and `expires_at` of the lease.
        until: when it would end if it were prolonged now.
    """
    return float(held.given_at + max(0.0, until - held.expires_at - ABSENT))


def finish(connection: Connection, lease: int, final: bool) -> None:
    """Closes a lease, or keeps it open for a revised answer."""
    connection.execute(_FINISH, {"which": lease, "to": DONE if final else OPEN})


def _given(connection: Connection, question: int, preference: Preference) -> tuple[bool, int]:
    """Whether the evaluator's answer under this condition stands, and how many it gave, withdrawn ones included."""
    rows = connection.execute(
        _GIVEN, {"question": question, "evaluator": preference.evaluator, "condition": preference.condition}
    ).all()
    return any(row.withdrawn is None for row in rows), len(rows)


def release_expired(connection: Connection, runs: Runs, now: float) -> None:
    """Gives the slots of expired leases back to their comparisons.

    Args:
        connection: a connection in a write transaction.
        runs: numbers of the runs.
        now: seconds since 1970.
    """
    _give_back(connection, connection.execute(_EXPIRED, {"runs": runs, "now": now}).all())


def give_back(connection: Connection, *which: sa.ColumnElement[bool]) -> None:
    """Gives the slots of these open leases back to their comparisons; leases that somebody else holds are left out."""
    _give_back(
        connection,
        connection.execute(
            sa.select(lease.c.seq, lease.c.comparison).where(*which).with_for_update(skip_locked=True)
        ).all(),
    )


def _give_back(connection: Connection, found: Sequence[Found]) -> None:
    if not found:
        return
    connection.execute(
        sa.update(lease).where(lease.c.seq == sa.bindparam("which")).values(state=RELEASED),
        [{"which": row.seq} for row in found],
    )
    connection.execute(
        sa.update(comparison)
        .where(comparison.c.seq == sa.bindparam("which"))
        .values(slots_left=comparison.c.slots_left + 1),
        [{"which": seq} for seq in sorted(row.comparison for row in found)],
    )


def _first_waiting(connection: Connection, runs: Runs, labeller: str, node: str | None) -> Found | None:
    """Takes a slot of the first run's comparison of highest priority, oldest first, that this labeller may be given."""
    for run in runs:
        row = connection.execute(_waiting(), {"of": run, "labeller": labeller, "at": node}).first()
        if row is not None:
            return row
    return None


def take_slot(connection: Connection, seq: int) -> bool:
    """Takes one of a comparison's slots, if any is left."""
    return connection.execute(_SLOT, {"which": seq}).rowcount == 1


# --- statements, made once: making one takes longer than running it ---

_RUNS = lease.c.run.in_(sa.bindparam("runs", expanding=True))
_LABELLER = sa.bindparam("labeller", type_=sa.Text)
_AT_NODE = sa.bindparam("at", type_=sa.Text).is_(None) | (comparison.c.node == sa.bindparam("at", type_=sa.Text))

_MINE = sa.select(
    sa.func.pg_advisory_xact_lock(
        sa.cast(sa.bindparam("run"), sa.Integer), sa.func.hashtext(sa.cast(_LABELLER, sa.Text))
    )
)
_LOCK_OWN = (
    sa.select(lease.c.seq)
    .where(_RUNS, lease.c.labeller == _LABELLER, lease.c.state != DONE)
    .order_by(lease.c.seq)
    .with_for_update()
)
"""Waits until nobody answers or releases this labeller's leases, and keeps it so."""
_EXPIRED = (
    sa.select(lease.c.seq, lease.c.comparison)
    .where(_RUNS, lease.c.state == OPEN, lease.c.expires_at <= sa.bindparam("now"))
    .with_for_update(skip_locked=True)
)
_AS_SELECTED = [
    sa.cast(column, sa.Double).label(column.name) if isinstance(column.type, sa.Double) else column
    for column in comparison.c
]
"""SQLite's RETURNING gives a whole number out of a column of real ones as an integer; its SELECT does not."""
_GIVE = sa.insert(lease)
_ANSWER = sa.insert(feedback)
_AWAY = sa.bindparam("until", type_=sa.Double) - lease.c.expires_at - ABSENT
_PROLONG = (
    sa.update(lease)
    .where(lease.c.seq == sa.bindparam("which"))
    .values(
        state=OPEN, expires_at=sa.bindparam("until"),
        given_at=sa.case((_AWAY > 0.0, lease.c.given_at + _AWAY), else_=lease.c.given_at),
    )
)  # fmt: skip
_RESTART = (
    sa.update(lease)
    .where(lease.c.seq == sa.bindparam("which"))
    .values(state=OPEN, expires_at=sa.bindparam("until"), given_at=sa.bindparam("now"))
)
_FINISH = sa.update(lease).where(lease.c.seq == sa.bindparam("which")).values(state=sa.bindparam("to"))
_SLOT = (
    sa.update(comparison)
    .where(comparison.c.seq == sa.bindparam("which"), HAS_SLOTS)
    .values(slots_left=comparison.c.slots_left - 1)
)
_HELD = (
    sa.select(lease.c.seq, lease.c.state, lease.c.labeller, lease.c.comparison)
    .where(lease.c.token == sa.bindparam("token"), lease.c.run == sa.bindparam("run"))
    .with_for_update()
)
_QUESTION = sa.select(
    comparison.c.seq, comparison.c.run, comparison.c.id, comparison.c.node, comparison.c.protocol, comparison.c.aside
).where(comparison.c.seq == sa.bindparam("seq"))
_GIVEN = (
    sa.select(feedback.c.seq, withdrawal.c.feedback.label("withdrawn"))
    .outerjoin(withdrawal, withdrawal.c.feedback == feedback.c.seq)
    .where(
        feedback.c.comparison == sa.bindparam("question"),
        feedback.c.evaluator == sa.bindparam("evaluator"),
        feedback.c.condition == sa.bindparam("condition"),
    )
)


@cache
def _own(state: str) -> sa.Select[Any]:
    """The labeller's lease of this state, with its comparison."""
    query = (
        sa.select(comparison.c.seq, lease.c.seq.label("lease"), lease.c.token, lease.c.state)
        .join(lease, lease.c.comparison == comparison.c.seq)
        .where(_RUNS, lease.c.labeller == _LABELLER, lease.c.state == state, ~comparison.c.aside, _AT_NODE)
        .order_by(comparison.c.priority.desc(), comparison.c.seq)
        .limit(1)
    )
    if state == RELEASED:
        query = query.where(HAS_SLOTS)
        query = query.with_for_update(of=comparison, key_share=True, skip_locked=True)
    return query


@cache
def _waiting() -> sa.Executable:
    """Takes what waits for a labeller: not had, not answered; of a repeat, the original answered a while ago."""
    had = sa.select(lease.c.seq).where(lease.c.comparison == comparison.c.seq, lease.c.labeller == _LABELLER)
    answered = sa.select(feedback.c.seq).where(
        feedback.c.comparison == comparison.c.seq, feedback.c.evaluator == _LABELLER
    )
    first = (
        sa.select(comparison.c.seq)
        .where(
            comparison.c.run == sa.bindparam("of"), HAS_SLOTS, ~comparison.c.aside, ~had.exists(),
            ~answered.exists(), comparison.c.original.is_(None) | _a_while_ago(), _AT_NODE,
        )
        .order_by(comparison.c.priority.desc(), comparison.c.seq)
        .limit(1)
        .with_for_update(of=comparison, key_share=True, skip_locked=True)
    )  # fmt: skip
    return (
        sa.update(comparison)
        .where(comparison.c.seq == first.correlate(None).scalar_subquery())
        .values(slots_left=comparison.c.slots_left - 1)
        .returning(*_AS_SELECTED)
    )


def _a_while_ago() -> sa.ColumnElement[bool]:
    """Whether the labeller answered the comparison's original, and at least `GAP` others since."""
    original, then, since = comparison.alias(), feedback.alias(), feedback.alias()
    others = (
        sa.select(sa.func.count())
        .select_from(since)
        .where(since.c.run == then.c.run, since.c.evaluator == _LABELLER, since.c.seq > then.c.seq)
        .scalar_subquery()
    )
    return (
        sa.select(then.c.seq)
        .join(original, then.c.comparison == original.c.seq)
        .where(
            original.c.run == comparison.c.run, original.c.id == comparison.c.original, then.c.evaluator == _LABELLER,
            others >= GAP,
        )
        .exists()
    )  # fmt: skip
