"""What a researcher should look at, in words, worst first."""

from collections.abc import Iterator, Sequence

from rewardtree.preferences.quality_intervals import Figure
from rewardtree.preferences.quality_labellers import Labeller
from rewardtree.preferences.quality_sandwich import Sandwich

ENOUGH = 20
"""Answers from which on a share is worth a flag; of repeats, half as many."""
CLEAR = 3.3
"""Standard errors from chance that happen once in a thousand unbiased labellers."""
OFTEN_FAST, OFTEN_SILENT, OFTEN_TIED = 0.1, 0.3, 0.5
CONSISTENT, AGREEING, RELIABLE = 0.8, 0.15, 0.2


def flags(people: Sequence[Labeller], sandwich: Sandwich, alpha: Figure, reports: int) -> tuple[str, ...]:
    """Sentences on what looks wrong, worst first.

    Args:
        people: figures of the labellers.
        sandwich: accuracy by condition.
        alpha: ordinal agreement.
        reports: how many comparisons are reported as broken and still set aside.
    """
    rates = [(person.agreement.mean, person.agreement.n) for person in people if person.agreement.mean is not None]
    shared = sum(n for _, n in rates)
    usual = sum(rate * n for rate, n in rates) / shared if shared else None
    found = [flag for person in people for flag in _of_labeller(person, usual)]
    found += _of_run(sandwich, alpha, reports)
    return tuple(text for _, text in sorted(found, key=lambda flag: -flag[0]))


def _of_labeller(person: Labeller, usual: float | None) -> Iterator[tuple[float, str]]:
    """Flags with their weight; about 3 makes a labeller's answers useless, about 1 is worth a talk."""
    name = f"Labeller {person.name}"
    yield from _on_accuracy(person)
    yield from _on_helpers(person)
    fast = person.too_fast
    if _at_least(fast, OFTEN_FAST) and person.fast_limits is not None:
        yield 1 + 2 * _mean(fast), f"{name} answers faster than {_limit(person.fast_limits)} in {_in(fast)}"
    side = person.displayed_first
    if side.mean is not None and side.n >= ENOUGH and abs(side.mean - 0.5) / (0.5 / side.n**0.5) > CLEAR:
        place, share = ("first", side.mean) if side.mean > 0.5 else ("second", 1 - side.mean)
        yield 4 * abs(side.mean - 0.5), f"{name} prefers what was displayed {place} in {_percent(share)} of {side.n}"
    same = person.consistency.same_side
    if same.n >= ENOUGH // 2 and same.high is not None and same.high < CONSISTENT:
        yield (
            3 - 2 * _mean(same),
            f"{name} answers the same in only {_percent(same.mean)} of {same.n} repeats",
        )
    agree = person.agreement
    if usual is not None and agree.n >= ENOUGH and agree.high is not None and agree.high < usual - AGREEING:
        low = f"{name} agrees with the others in {_percent(agree.mean)} of {agree.n} shared comparisons"
        yield 1 + 2 * (usual - _mean(agree)), f"{low}; on average labellers do in {_percent(usual)}"
    if _at_least(person.cannot_tell, OFTEN_SILENT):
        yield _mean(person.cannot_tell), f"{name} can't tell in {_in(person.cannot_tell)}"
    if _at_least(person.ties, OFTEN_TIED):
        yield _mean(person.ties), f"{name} calls {_in(person.ties)} a tie"


def _on_accuracy(person: Labeller) -> Iterator[tuple[float, str]]:
    right = person.accuracy
    if right.n < ENOUGH or right.low is None or right.high is None:
        return
    text = f"Labeller {person.name} is right in {_percent(right.mean)} of {right.n} known comparisons"
    if right.high < 0.5:
        yield 3.5, f"{text}: sides mixed up?"
    elif right.low <= 0.5:
        yield 4.5 - 4 * _mean(right), f"{text}, which may be chance ({_percent(right.low)} to {_percent(right.high)})"


def _on_helpers(person: Labeller) -> Iterator[tuple[float, str]]:
    wrong = person.reliance.followed_wrong
    if wrong.n >= ENOUGH // 2 and wrong.low is not None and wrong.low > 0.5:
        text = f"Labeller {person.name} follows the helpers in {_percent(wrong.mean)} of {wrong.n} known comparisons"
        yield 1.5 + _mean(wrong), f"{text} where they are wrong"


def _of_run(sandwich: Sandwich, alpha: Figure, reports: int) -> list[tuple[float, str]]:
    found = []
    change = sandwich.revised_against_unaided
    if change.high is not None and change.high < 0:
        found.append((3.0, f"Seeing the claims made people less accurate: {_points(change)}"))
    gap = sandwich.assisted_against_unaided
    if gap.high is not None and gap.high < 0:
        found.append((3.0, f"People are less accurate with claims than without: {_points(gap)}"))
    if alpha.mean is not None and alpha.high is not None and alpha.high < RELIABLE and alpha.n >= ENOUGH:
        text = f"Labellers hardly agree: Krippendorff's alpha is {alpha.mean:.2f} over {alpha.n} comparisons"
        found.append((2.0, _minus(text)))
    if reports:
        found.append((1.0, f"{reports} reported as broken and set aside; put right what is wrong, or put them back"))
    return found


def _at_least(figure: Figure, limit: float) -> bool:
    return figure.n >= ENOUGH and figure.mean is not None and figure.mean >= limit


def _mean(figure: Figure) -> float:
    return figure.mean or 0.0


def _percent(part: float | None) -> str:
    return f"{100 * (part or 0.0):.0f} %"


def _in(figure: Figure) -> str:
    return f"{_percent(figure.mean)} of {figure.n} comparisons"


def _limit(limits: tuple[float, float]) -> str:
    least, most = (f"{limit:.3g}" for limit in limits)
    return f"{least} s" if least == most else f"{least} to {most} s"


def _points(figure: Figure) -> str:
    low, high = (100 * (end or 0.0) for end in (figure.low, figure.high))
    return _minus(f"{100 * _mean(figure):+.0f} points ({low:+.0f} to {high:+.0f}, {figure.n} answers)")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
