"""How good people's answers are: labellers, their agreement, their use of helpers, and what helpers did for them.

    >>> from rewardtree.preferences.records import Records
    >>> found = summarise(Records(answers=(), reports=(), reliability={}))
    >>> found.answers, found.alpha_ordinal.mean, found.flags
    (0, None, ())

`dataclasses.asdict` gives a dictionary for JSON: what is not known is None, never NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rewardtree.preferences.quality_agreement import (
    aggregated,
    agreement_with_shadow,
    consensus,
    krippendorff_alpha,
)
from rewardtree.preferences.quality_columns import FIRST, NONE, SECOND, Columns, columns
from rewardtree.preferences.quality_flags import flags
from rewardtree.preferences.quality_intervals import Figure, median, share
from rewardtree.preferences.quality_labellers import Labeller, judge_labellers
from rewardtree.preferences.quality_sandwich import Sandwich, sandwich
from rewardtree.preferences.records import Records

__all__ = ["Figure", "Helper", "Labeller", "Quality", "Sandwich", "aggregate", "summarise"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Helper:
    """What one helper's claims were worth, and what people made of them.

    Attributes:
        name: of the helper.
        right: share of the known comparisons in which its claims favour the better side.
        followed: share of people's answers, claims in sight, that take the side that its claims favour.
        reliability: as it was measured elsewhere and shown to people, or None.
    """

    name: str
    right: Figure
    followed: Figure
    reliability: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """All figures. Answers that were taken back count nowhere; an answer and its revision are one answer.

    Attributes:
        at: when, in seconds since 1970, or None.
        answers: comparisons answered, once a labeller.
        withdrawn: answers that were taken back.
        comparisons: comparisons that were answered by anybody.
        overlapping: comparisons that two or more labellers answered with a side or tie.
        open_reports: reports of broken comparisons that are not settled.
        seconds: median time of a first answer.
        labellers: their figures, by name.
        helpers: theirs, by name.
        alpha_ordinal: Krippendorff's alpha over the five-point answers as an ordered scale; 1 is full agreement, 0
            is chance.
        alpha_nominal: the same, every two different answers equally far apart.
        shadow_agreement: share of answers on the side of the simulated evaluator's; half where either takes none.
        sandwich: accuracy with claims against without.
        flags: what looks wrong, in words, worst first.
    """

    at: float | None
    answers: int
    withdrawn: int
    comparisons: int
    overlapping: int
    open_reports: int
    seconds: float | None
    labellers: tuple[Labeller, ...]
    helpers: tuple[Helper, ...]
    alpha_ordinal: Figure
    alpha_nominal: Figure
    shadow_agreement: Figure
    sandwich: Sandwich
    flags: tuple[str, ...]


def summarise(records: Records, *, now: float | None = None) -> Quality:
    """Computes every figure of label quality.

    Args:
        records: all answers and reports of a run.
        now: seconds since 1970, to say how many answers came within the hour.

    Returns:
        The figures. Nothing to take one from gives None.

    Raises:
        ConfigError: the package `krippendorff` is missing (`rewardtree[label]`).
    """
    table = columns(records)
    people = judge_labellers(table, consensus(table), now)
    compared, alpha = sandwich(table), krippendorff_alpha(table, "ordinal")
    reports = sum(report.open for report in records.reports)
    return Quality(
        at=now,
        answers=int(table.final.sum()),
        withdrawn=sum(answer.withdrawn for answer in records.answers),
        comparisons=len(table.asked.ids),
        overlapping=alpha.n,
        open_reports=reports,
        seconds=median(table.seconds[table.first]),
        labellers=people,
        helpers=_helpers(table, records.reliability),
        alpha_ordinal=alpha,
        alpha_nominal=krippendorff_alpha(table, "nominal"),
        shadow_agreement=agreement_with_shadow(table),
        sandwich=compared,
        flags=flags(people, compared, alpha, reports),
    )


def aggregate(records: Records) -> Mapping[str, float]:
    """Weighs all labellers' answers by how reliable each proved to be; see `quality_agreement.consensus`.

    Returns:
        For each comparison that got an answer with a side or a tie, the probability that its first output is better.
        A comparison whose answer is known keeps that.
    """
    table = columns(records)
    return aggregated(table, consensus(table))


def _helpers(table: Columns, reliability: Mapping[str, float]) -> tuple[Helper, ...]:
    known = (table.asked.known == FIRST) | (table.asked.known == SECOND)
    in_sight = table.final & (table.condition > 0)
    found = []
    for name, verdict in table.asked.verdicts.items():
        judged = known & (verdict != NONE)
        right = share(float((verdict == table.asked.known)[judged].sum()), int(judged.sum()))
        said = verdict[table.comparison]
        led = in_sight & (said != NONE)
        followed = share(float((table.side == said)[led].sum()), int(led.sum()))
        found.append(Helper(name=name, right=right, followed=followed, reliability=reliability.get(name)))
    return tuple(found)
