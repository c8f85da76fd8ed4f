"""Taking a labeller's last answer back: it is kept, as withdrawn, and its comparison is given again.

Works inside the caller's write transaction, as `working` does.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.preferences.leasing import give_back, prolong, release_expired, take_slot
from rewardtree.preferences.rows import Found
from rewardtree.preferences.schema import (
    DONE,
    OPEN,
    RELEASED,
    STANDS,
    claim_opening,
    comparison,
    feedback,
    lease,
    withdrawal,
)
from rewardtree.preferences.working import BY_NUMBER


def last_answer(connection: Connection, runs: Sequence[int], labeller: str) -> Found | None:
    """A labeller's last answer that stands, and whether its comparison is set aside."""
    return connection.execute(_LAST, {"runs": runs, "labeller": labeller}).first()


def undo(connection: Connection, runs: Sequence[int], labeller: str, until: float, now: float) -> Found | None:
    """Takes a labeller's last answer back and gives it the comparison again; what it holds meanwhile is given back.

    A comparison that is set aside keeps its answers, and a first of two answers stands once a claim was opened: given
    again, it would not be one without claims.

    Args:
        connection: a connection in a write transaction.
        runs: numbers of the runs.
        labeller: whose answer.
        until: when the lease ends.
        now: seconds since 1970.

    Returns:
        The row of the lease, or None where there is nothing to take back.
    """
    last = last_answer(connection, runs, labeller)
    if last is None or last.aside or _saw_claims(connection, last):
        return None
    mine = (lease.c.run.in_(runs), lease.c.labeller == labeller)
    connection.execute(sa.select(lease.c.seq).where(*mine, lease.c.state != DONE).with_for_update())
    release_expired(connection, runs, now)
    state = connection.execute(sa.select(lease.c.state).where(lease.c.seq == last.lease)).scalar_one()
    if state == RELEASED and not take_slot(connection, last.comparison):
        return None  # the time for a second answer ran out, and somebody else has the comparison
    connection.execute(sa.insert(withdrawal).values(feedback=last.seq, time=now))
    give_back(connection, *mine, lease.c.state == OPEN, lease.c.seq != last.lease)
    prolong(connection, last.lease, until)
    return connection.execute(BY_NUMBER, {"lease": last.lease}).one()


def _saw_claims(connection: Connection, last: Found) -> bool:
    """Whether an answer without claims was followed by a look at one."""
    opened = sa.select(claim_opening.c.claim).where(claim_opening.c.lease == last.lease).limit(1)
    return last.condition == "unaided" and connection.execute(opened).first() is not None


_LAST = (
    sa.select(
        feedback.c.seq, feedback.c.run, feedback.c.lease, feedback.c.comparison, feedback.c.condition,
        comparison.c.aside,
    )
    .join(comparison, feedback.c.comparison == comparison.c.seq)
    .where(
        feedback.c.run.in_(sa.bindparam("runs", expanding=True)), feedback.c.evaluator == sa.bindparam("labeller"),
        feedback.c.lease.is_not(None), STANDS,
    )
    .order_by(feedback.c.seq.desc())
    .limit(1)
)  # fmt: skip
