"""What people's labels came to, in frozen rows: for figures on their quality, and for export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.preferences.rows import claims_in
from rewardtree.preferences.schema import comparison, feedback, label_report, lease, run, withdrawal
from rewardtree.preferences.values import PEOPLE, PERSON, Condition, Preference, Purpose


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer of a person, with what it answered.

    Attributes:
        comparison: id of the comparison.
        run, node, protocol: where it was asked.
        purpose: why it was asked.
        original: id of the comparison that it repeats.
        known: of a gold comparison, the probability that the first is better.
        shadow: a simulated evaluator's probability that the first is better.
        labeller: name of the account.
        condition: unaided, assisted or revised.
        probability: that the first is better; None for can't tell.
        swapped: whether the second output stood on the left.
        seconds: time spent on this answer; of a time without a sign of work, five minutes at most.
        readings: readings used.
        claims_seen: positions of the claims that were opened.
        claims: number of claims that could be opened.
        rationale: the labeller's reason, may be empty.
        time: seconds since 1970.
        withdrawn: whether it was taken back.
        verdicts: which output each quantity's claims favour: first, second or neither.
        mode: assisted, unaided or revise.
        view: places, evidence or verdicts.
    """

    comparison: str
    run: str
    node: str
    protocol: str
    purpose: Purpose
    original: str | None
    known: float | None
    shadow: float | None
    labeller: str
    condition: Condition
    probability: float | None
    swapped: bool
    seconds: float
    readings: int
    claims_seen: tuple[int, ...]
    claims: int
    rationale: str
    time: float
    withdrawn: bool
    verdicts: Mapping[str, str]
    mode: str
    view: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A comparison that somebody called broken.

    Attributes:
        comparison: its id.
        labeller: name of the account.
        text: what is wrong with it.
        time: seconds since 1970.
        open: whether it is still set aside for it.
    """

    comparison: str
    labeller: str
    text: str
    time: float
    open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """Everything that people gave.

    Attributes:
        answers: in the order in which they were stored.
        reports: of broken comparisons, oldest first.
        reliability: measured reliability of helpers' claims, by quantity, 0 to 1; as last shown.
    """

    answers: tuple[Answer, ...]
    reports: tuple[Report, ...]
    reliability: Mapping[str, float]


def records_of(connection: Connection, runs: Sequence[int]) -> Records:
    """Reads what people gave in these runs."""
    asked = _asked(connection, runs)
    answers = _answers(connection, runs, asked)
    reliability: dict[str, float] = {}
    for shown, _ in asked.values():
        reliability |= {name: float(value) for name, value in shown.get("reliability", {}).items()}
    return Records(answers=answers, reports=_reports(connection, runs), reliability=reliability)


def _asked(connection: Connection, runs: Sequence[int]) -> dict[int, tuple[Mapping[str, Any], int]]:
    """How each comparison that a person answered was put, and how many claims it shows."""
    column = comparison.c
    answered = sa.select(feedback.c.comparison).where(
        feedback.c.run.in_(runs), feedback.c.evaluator.startswith(PERSON, autoescape=True)
    )
    found = {}
    for row in connection.execute(sa.select(column.seq, column.payload).where(column.seq.in_(answered))):
        payload = orjson.loads(row.payload)
        found[row.seq] = payload.get(PEOPLE, {}), claims_in(payload)
    return found


def _answers(
    connection: Connection, runs: Sequence[int], asked: Mapping[int, tuple[Mapping[str, Any], int]]
) -> tuple[Answer, ...]:
    column, question = feedback.c, comparison.c
    query = (
        sa.select(
            feedback, question.id, question.purpose, question.original, question.known, question.shadow,
            run.c.name.label("run_name"), withdrawal.c.time.label("withdrawn"),
        )
        .join(comparison, column.comparison == question.seq)
        .join(run, column.run == run.c.seq)
        .outerjoin(withdrawal, withdrawal.c.feedback == column.seq)
        .where(column.run.in_(runs), column.kind == Preference.kind)
        .where(column.evaluator.startswith(PERSON, autoescape=True))
        .order_by(column.seq)
    )  # fmt: skip
    found = []
    for row in connection.execute(query):
        details, (shown, claims) = orjson.loads(row.details), asked[row.comparison]
        verdicts = shown.get("verdicts", {})
        found.append(
            Answer(
                comparison=row.id, run=row.run_name, node=row.node, protocol=row.protocol, purpose=row.purpose,
                original=row.original, known=row.known, shadow=row.shadow,
                labeller=row.evaluator.removeprefix(PERSON), condition=row.condition, probability=row.probability,
                swapped=row.swapped, seconds=row.seconds, readings=row.readings,
                claims_seen=tuple(details["claims_seen"]), claims=claims, rationale=details["rationale"],
                time=row.time, withdrawn=row.withdrawn is not None,
                verdicts=dict(verdicts) if isinstance(verdicts, dict) else {},
                mode=str(shown.get("mode", "assisted")), view=str(shown.get("view", "evidence")),
            )
        )  # fmt: skip
    return tuple(found)


def _reports(connection: Connection, runs: Sequence[int]) -> tuple[Report, ...]:
    query = (
        sa.select(label_report, lease.c.labeller, comparison.c.id)
        .join(lease, label_report.c.lease == lease.c.seq)
        .join(comparison, lease.c.comparison == comparison.c.seq)
        .where(lease.c.run.in_(runs))
        .order_by(label_report.c.time)
    )
    return tuple(
        Report(
            comparison=row.id, labeller=row.labeller.removeprefix(PERSON), text=row.text, time=row.time,
            open=row.open,
        )
        for row in connection.execute(query)
    )  # fmt: skip
