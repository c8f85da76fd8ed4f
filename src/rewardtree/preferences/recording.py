"""Writing questions, and answers that need no lease.

Every function works inside the caller's write transaction, which holds the run's lock: what it finds missing
stays missing until it has written it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.errors import StoreError
from rewardtree.preferences.rows import Found, Row, comparison_row, preference_row, remark_row
from rewardtree.preferences.schema import comparison, feedback
from rewardtree.preferences.values import Comparison, Preference, Remark

_Item = TypeVar("_Item")
MANY = 200
"""Questions at a time after which PostgreSQL is told to look how many wait: until it knows, it plans as for a few, and
giving one of 5,000 out takes 100 ms."""


def portions(items: Sequence[_Item], size: int = 1000) -> Iterator[Sequence[_Item]]:
    """Cuts a list into pieces that fit one query; SQLite takes at most 32,766 parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))


def add_comparisons(connection: Connection, run: int, given: Sequence[Comparison]) -> int:
    """Stores the comparisons whose id is new, in order.

    Args:
        connection: a connection in a write transaction.
        run: number of the run.
        given: the comparisons.

    Returns:
        How many were new.
    """
    rows = {one.id: comparison_row(run, one) for one in given}
    for portion in portions(list(rows)):
        known = sa.select(comparison.c.id).where(comparison.c.run == run, comparison.c.id.in_(portion))
        for name in connection.execute(known).scalars().all():
            del rows[name]
    if rows:
        connection.execute(sa.insert(comparison), list(rows.values()))
    if len(rows) >= MANY and connection.dialect.name == "postgresql":
        connection.execute(sa.text("ANALYZE comparison"))
    return len(rows)


def add_preferences(connection: Connection, run: int, given: Sequence[Preference]) -> int:
    """Stores the preferences that are new for their comparison, evaluator and condition, in order.

    Each takes one of its comparison's slots, if any is left.

    Args:
        connection: a connection in a write transaction.
        run: number of the run.
        given: the preferences.

    Returns:
        How many were new.

    Raises:
        StoreError: a preference answers a comparison that the run does not have.
    """
    asked = asked_of(connection, run, {one.comparison for one in given})
    stored = _stored(connection, [question.seq for question in asked.values()])
    rows: list[Row] = []
    slots: list[int] = []
    for one in given:
        if one.comparison not in asked:
            raise StoreError(f"comparison {one.comparison} is not in this run; submit it before its answer")
        question = asked[one.comparison]
        key = (question.seq, one.evaluator, one.condition)
        if key in stored:
            continue
        stored.add(key)
        rows.append(preference_row(run, one, question))
        if question.slots_left > 0:
            slots.append(question.seq)
    take_slots(connection, slots)
    if rows:
        connection.execute(sa.insert(feedback), rows)
    return len(rows)


def add_remarks(connection: Connection, run: int, given: Sequence[Remark]) -> int:
    """Stores the ratings, critiques, demonstrations and step labels whose content is new, in order.

    Args:
        connection: a connection in a write transaction.
        run: number of the run.
        given: the remarks.

    Returns:
        How many were new.
    """
    rows = {row["digest"]: row for row in (remark_row(run, one) for one in given)}
    for portion in portions(list(rows)):
        known = sa.select(feedback.c.digest).where(feedback.c.run == run, feedback.c.digest.in_(portion))
        for digest in connection.execute(known).scalars().all():
            del rows[digest]
    if rows:
        connection.execute(sa.insert(feedback), list(rows.values()))
    return len(rows)


def asked_of(connection: Connection, run: int, ids: set[str]) -> dict[str, Found]:
    """Returns number, node, protocol and slots left of the run's comparisons of these ids."""
    column = comparison.c
    asked: dict[str, Found] = {}
    for portion in portions(list(ids)):
        query = sa.select(column.id, column.seq, column.node, column.protocol, column.slots_left).where(
            column.run == run, column.id.in_(portion)
        )
        asked.update((row.id, row) for row in connection.execute(query))
    return asked


def _stored(connection: Connection, questions: list[int]) -> set[tuple[int, str, str]]:
    """Returns by whom and under which condition these comparisons were answered."""
    column = feedback.c
    stored: set[tuple[int, str, str]] = set()
    for portion in portions(questions):
        query = sa.select(column.comparison, column.evaluator, column.condition).where(column.comparison.in_(portion))
        stored.update((seq, evaluator, condition) for seq, evaluator, condition in connection.execute(query))
    return stored


def take_slots(connection: Connection, questions: list[int]) -> None:
    """Takes one slot of a comparison each time that it is named, while it has any."""
    column = comparison.c
    named = Counter(questions)
    while named:
        for portion in portions(sorted(named)):
            # Locked in order: see `leasing` on who waits for whom.
            some = sa.select(column.seq).where(column.seq.in_(portion), column.slots_left > 0)
            locked = some.order_by(column.seq).with_for_update(key_share=True)
            connection.execute(
                sa.update(comparison).where(column.seq.in_(locked)).values(slots_left=column.slots_left - 1)
            )
        named = Counter({seq: times - 1 for seq, times in named.items() if times > 1})
