"""Answers from elsewhere into a store: each once, those that were taken back as taken back."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.preferences.exchange_rows import Given
from rewardtree.preferences.recording import asked_of, portions, take_slots
from rewardtree.preferences.rows import Found, Row, preference_row
from rewardtree.preferences.schema import feedback, withdrawal
from rewardtree.preferences.values import PERSON

Key = tuple[int, str, str]
"""Number of the comparison, evaluator, condition."""


def add_answers(connection: Connection, run: int, given: Sequence[Given]) -> int:
    """Stores the answers that the run does not have.

    An answer is known by comparison, evaluator, condition and time; one that stands in the store and is taken back
    here is taken back there. A different answer that stands for the same comparison, evaluator and condition stays,
    and the one given is left out. A person's answer takes one of the comparison's slots, if any is left.

    Args:
        connection: a connection in a write transaction that holds the run's lock.
        run: number of the run.
        given: answers to comparisons that the run has.

    Returns:
        How many were new.
    """
    asked = asked_of(connection, run, {one.preference.comparison for one in given})
    stored = _stored(connection, [row.seq for row in asked.values()])
    attempts = Counter({key: len(rows) for key, rows in stored.items()})
    known = {(*key, row.time): row for key, rows in stored.items() for row in rows}
    standing = {key for key, rows in stored.items() if any(row.withdrawn is None for row in rows)}
    had = {key[:2] for key in standing}
    rows: list[Row] = []
    back: list[tuple[Key, int, float]] = []
    slots: list[int] = []
    for one in given:
        answer = one.preference
        question = asked[answer.comparison]
        key = (question.seq, answer.evaluator, answer.condition)
        earlier = known.get((*key, answer.time))
        if earlier is not None:
            if one.withdrawn and earlier.withdrawn is None:
                back.append((key, earlier.attempt, answer.time))
            continue
        if not one.withdrawn and key in standing:
            continue
        rows.append(preference_row(run, answer, question, attempt=attempts[key]))
        known[*key, answer.time] = _Fresh(attempts[key], answer.time if one.withdrawn else None)
        if one.withdrawn:
            back.append((key, attempts[key], answer.time))
        else:
            standing.add(key)
            if key[:2] not in had and answer.evaluator.startswith(PERSON):
                slots.append(question.seq)
            had.add(key[:2])
        attempts[key] += 1
    if rows:
        connection.execute(sa.insert(feedback), rows)
    _take_back(connection, back)
    take_slots(connection, slots)
    return len(rows)


class _Fresh:
    """An answer that is stored in this very batch, as a row of `_stored`."""

    def __init__(self, attempt: int, withdrawn: float | None) -> None:
        self.attempt, self.withdrawn = attempt, withdrawn


def _stored(connection: Connection, questions: Sequence[int]) -> dict[Key, list[Found]]:
    column = feedback.c
    found: dict[Key, list[Found]] = {}
    for portion in portions(questions):
        query = (
            sa.select(
                column.comparison, column.evaluator, column.condition, column.attempt, column.time,
                withdrawal.c.time.label("withdrawn"),
            )
            .outerjoin(withdrawal, withdrawal.c.feedback == column.seq)
            .where(column.comparison.in_(portion))
        )  # fmt: skip
        for row in connection.execute(query):
            found.setdefault((row.comparison, row.evaluator, row.condition), []).append(row)
    return found


def _take_back(connection: Connection, back: Sequence[tuple[Key, int, float]]) -> None:
    """Marks stored answers as taken back; when is not known better than when they were given."""
    if not back:
        return
    column = feedback.c
    wanted = {(*key, attempt): time for key, attempt, time in back}
    rows = []
    for portion in portions(sorted({key[0] for key, _, _ in back})):
        query = sa.select(column.seq, column.comparison, column.evaluator, column.condition, column.attempt)
        for row in connection.execute(query.where(column.comparison.in_(portion))):
            time = wanted.get((row.comparison, row.evaluator, row.condition, row.attempt))
            if time is not None:
                rows.append({"feedback": row.seq, "time": time})
    connection.execute(sa.insert(withdrawal), rows)
