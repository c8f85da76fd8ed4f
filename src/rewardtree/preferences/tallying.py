"""How far people are with comparisons: counted in the database, as a run that waits asks every second."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.preferences.rows import Found
from rewardtree.preferences.schema import OPEN, STANDS, comparison, feedback, lease
from rewardtree.preferences.values import PERSON, Condition


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Answers that comparisons have and lack; a comparison wants as many as it has slots.

    Attributes:
        asked: answers that are wanted in all.
        given: those that people gave and did not take back, of comparisons that are not set aside.
        aside: those that are wanted of comparisons that are set aside.
        out: those that labellers are at: leases that are open and did not run out.
        until: when the last of these leases ends, seconds since 1970; None where none is open.
    """

    asked: int = 0
    given: int = 0
    aside: int = 0
    out: int = 0
    until: float | None = None

    def plus(self, other: "Tally") -> "Tally":
        """The tally of these comparisons and of others."""
        ends = [one for one in (self.until, other.until) if one is not None]
        return Tally(
            asked=self.asked + other.asked, given=self.given + other.given, aside=self.aside + other.aside,
            out=self.out + other.out, until=max(ends, default=None),
        )  # fmt: skip


def tally(connection: Connection, run: int, ids: Sequence[str], condition: Condition | None, now: float) -> Tally:
    """Counts for comparisons of a run, as many ids as fit one query.

    Args:
        connection: to the database.
        run: number of the run.
        ids: of the comparisons.
        condition: count answers under this condition only.
        now: seconds since 1970.
    """
    which = {"run": run, "ids": ids, "condition": condition, "now": now}
    counted: Found = connection.execute(_COUNTED, which).one()
    out: Found = connection.execute(_OUT, which).one()
    return Tally(
        asked=int(counted.asked), given=int(counted.given), aside=int(counted.aside), out=out.out, until=out.until
    )  # fmt: skip


_THESE = (comparison.c.run == sa.bindparam("run"), comparison.c.id.in_(sa.bindparam("ids", expanding=True)))
_CONDITION = sa.bindparam("condition", type_=sa.Text)
_ANSWERS = (
    sa.select(sa.func.count(feedback.c.evaluator.distinct()))
    .where(
        feedback.c.comparison == comparison.c.seq,
        feedback.c.evaluator.startswith(PERSON, autoescape=True),
        _CONDITION.is_(None) | (feedback.c.condition == _CONDITION),
        STANDS,
    )
    .correlate(comparison)
    .scalar_subquery()
)
_EACH = sa.select(comparison.c.slots, comparison.c.aside, _ANSWERS.label("answers")).where(*_THESE).subquery()
_COUNTED = sa.select(
    sa.func.coalesce(sa.func.sum(_EACH.c.slots), 0).label("asked"),
    sa.func.coalesce(sa.func.sum(sa.case((_EACH.c.aside, _EACH.c.slots), else_=0)), 0).label("aside"),
    sa.func.coalesce(
        sa.func.sum(
            sa.case((_EACH.c.aside, 0), (_EACH.c.answers > _EACH.c.slots, _EACH.c.slots), else_=_EACH.c.answers)
        ),
        0,
    ).label("given"),
)
_OUT = (
    sa.select(sa.func.count(lease.c.seq).label("out"), sa.func.max(lease.c.expires_at).label("until"))
    .join(comparison, lease.c.comparison == comparison.c.seq)
    .where(lease.c.run == sa.bindparam("run"), lease.c.state == OPEN, lease.c.expires_at > sa.bindparam("now"))
    .where(*_THESE, ~comparison.c.aside)
)
