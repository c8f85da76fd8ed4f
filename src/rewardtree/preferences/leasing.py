"""Giving comparisons out to labellers: who may answer what, until when.

Every function works inside the caller's write transaction. On SQLite that transaction excludes all other
writers. On PostgreSQL a labeller's own requests queue up behind an advisory lock, and row locks that are
waited for are taken in one order, so that no two transactions wait for each other: the run, the leases of one
labeller, comparisons by number. Whatever else is locked is skipped where somebody else holds it.
"""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.errors import StoreError
from rewardtree.preferences.rows import Found, preference_row
from rewardtree.preferences.schema import DONE, OPEN, RELEASED, comparison, feedback, lease
from rewardtree.preferences.values import Preference


def take(
    connection: Connection, run: int, labeller: str, node: str | None, now: float, seconds: float
) -> tuple[Found, str] | None:
    """Gives a labeller its open lease, else the comparison it let expire, else the first one waiting.

    Args:
        connection: a connection in a write transaction.
        run: number of the run.
        labeller: name of the labeller.
        node: give out this node's comparisons only; None for any.
        now: seconds since 1970.
        seconds: how long the lease lasts from now.

    Returns:
        The comparison's row and the lease's token, or None where nothing waits for this labeller.
    """
    if connection.dialect.name == "postgresql":
        mine = sa.func.pg_advisory_xact_lock(sa.cast(run, sa.Integer), sa.func.hashtext(labeller))
        connection.execute(sa.select(mine))
    _lock_own(connection, run, labeller)
    release_expired(connection, run, now)
    until = now + seconds
    held = _own(connection, run, labeller, node, OPEN) or _own(connection, run, labeller, node, RELEASED)
    if held is not None:
        connection.execute(sa.update(lease).where(lease.c.seq == held.lease).values(state=OPEN, expires_at=until))
        if held.state == RELEASED:
            _take_slot(connection, held.seq)
        return held, held.token
    row = _first_waiting(connection, run, labeller, node)
    if row is None:
        return None
    token = secrets.token_urlsafe(32)
    _take_slot(connection, row.seq)
    connection.execute(
        sa.insert(lease).values(
            run=run, comparison=row.seq, labeller=labeller, token=token, state=OPEN, expires_at=until
        )
    )
    return row, token


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
        StoreError: the token is unknown, belongs to another comparison or labeller, or its lease expired and
            somebody else took the last slot.
    """
    held = connection.execute(
        sa.select(lease.c.seq, lease.c.state, lease.c.labeller, lease.c.comparison)
        .where(lease.c.token == token, lease.c.run == run)
        .with_for_update()
    ).first()
    if held is None:
        raise StoreError("no such lease in this run; ask for a new comparison")
    question = connection.execute(
        sa.select(comparison.c.seq, comparison.c.id, comparison.c.node, comparison.c.protocol).where(
            comparison.c.seq == held.comparison
        )
    ).one()
    if (preference.comparison, preference.evaluator) != (question.id, held.labeller):
        raise StoreError(
            f"the lease is {held.labeller}'s on comparison {question.id}, the answer is "
            f"{preference.evaluator}'s to {preference.comparison}; use the token that came with it"
        )
    if held.state == DONE:
        return False
    given = connection.execute(
        sa.select(feedback.c.seq).where(
            feedback.c.comparison == question.seq,
            feedback.c.evaluator == preference.evaluator,
            feedback.c.condition == preference.condition,
        )
    ).first()
    if given is None:
        if held.state == RELEASED and not _take_slot(connection, question.seq):
            raise StoreError("the lease expired and somebody else got the comparison; ask for a new one")
        connection.execute(
            sa.insert(feedback).values(
                preference_row(run, preference, question.seq, question.node, question.protocol, held.seq)
            )
        )
    if given is None or final:
        connection.execute(sa.update(lease).where(lease.c.seq == held.seq).values(state=DONE if final else OPEN))
    return given is None


def release_expired(connection: Connection, run: int, now: float) -> None:
    """Gives the slots of expired leases back to their comparisons.

    Args:
        connection: a connection in a write transaction.
        run: number of the run.
        now: seconds since 1970.
    """
    expired = connection.execute(
        sa.select(lease.c.seq, lease.c.comparison)
        .where(lease.c.run == run, lease.c.state == OPEN, lease.c.expires_at <= now)
        .with_for_update(skip_locked=True)
    ).all()
    if not expired:
        return
    connection.execute(
        sa.update(lease).where(lease.c.seq == sa.bindparam("which")).values(state=RELEASED),
        [{"which": row.seq} for row in expired],
    )
    connection.execute(
        sa.update(comparison)
        .where(comparison.c.seq == sa.bindparam("which"))
        .values(slots_left=comparison.c.slots_left + 1),
        [{"which": seq} for seq in sorted(row.comparison for row in expired)],
    )


def _lock_own(connection: Connection, run: int, labeller: str) -> None:
    """Waits until nobody answers or releases this labeller's leases, and keeps it so."""
    unanswered = (lease.c.run == run, lease.c.labeller == labeller, lease.c.state != DONE)
    connection.execute(sa.select(lease.c.seq).where(*unanswered).order_by(lease.c.seq).with_for_update())


def _own(connection: Connection, run: int, labeller: str, node: str | None, state: str) -> Found | None:
    query = (
        sa.select(comparison, lease.c.seq.label("lease"), lease.c.token, lease.c.state)
        .join(lease, lease.c.comparison == comparison.c.seq)
        .where(lease.c.run == run, lease.c.labeller == labeller, lease.c.state == state)
        .order_by(comparison.c.priority.desc(), comparison.c.seq)
        .limit(1)
    )
    if state == RELEASED:
        query = query.where(comparison.c.slots_left > 0)
        query = query.with_for_update(of=comparison, key_share=True, skip_locked=True)
    if node is not None:
        query = query.where(comparison.c.node == node)
    return connection.execute(query).first()


def _first_waiting(connection: Connection, run: int, labeller: str, node: str | None) -> Found | None:
    had = sa.select(lease.c.seq).where(lease.c.comparison == comparison.c.seq, lease.c.labeller == labeller)
    answered = sa.select(feedback.c.seq).where(
        feedback.c.comparison == comparison.c.seq, feedback.c.evaluator == labeller
    )
    query = (
        sa.select(comparison)
        .where(comparison.c.run == run, comparison.c.slots_left > 0, ~had.exists(), ~answered.exists())
        .order_by(comparison.c.priority.desc(), comparison.c.seq)
        .limit(1)
        .with_for_update(of=comparison, key_share=True, skip_locked=True)
    )
    if node is not None:
        query = query.where(comparison.c.node == node)
    return connection.execute(query).first()


def _take_slot(connection: Connection, seq: int) -> bool:
    taken = connection.execute(
        sa.update(comparison)
        .where(comparison.c.seq == seq, comparison.c.slots_left > 0)
        .values(slots_left=comparison.c.slots_left - 1)
    )
    return taken.rowcount == 1
