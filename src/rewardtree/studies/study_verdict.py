"""What a study found, in a sentence that claims no more than its intervals let it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rewardtree.protocols.recursive_reward_modeling import NAME as BASELINE
from rewardtree.studies import report
from rewardtree.studies.comparing_schemes import COVERAGE, apart
from rewardtree.studies.study_sections import Results, largest, rewards_at, style
from rewardtree.studies.wording import Style, both, ends_of, mean_of, number, plain_words

SAME = 1e-9


def verdict(results: Results) -> str:
    """The main finding, of a study, of a depth ladder alone, or of a sandwich."""
    if results.get("kind") == "sandwich":
        return _of_sandwich(results)
    budget = largest(results)
    if budget is None:
        return (
            _of_ladder(results)
            if results.get("ladder") and not results["schemes"]
            else "No run of this study finished."
        )
    rewards = rewards_at(results, budget, yardsticks=False)
    amount, how = f"{number(float(budget), 'count')} labels", style(results)
    names = list(rewards)
    best = names[0]
    same = [name for name in names if abs(_mean(rewards[name]) - _mean(rewards[best])) < SAME]
    if len(names) == 1:
        return (
            f"With {amount}, {_inline(results, best)} reaches {both(rewards[best], how)}; "
            "no other scheme finished to compare it with."
        )
    if len(same) > 1:
        told = f"With {amount}, {_listed(results, same)} do equally well, and best: {both(rewards[best], how)} each"
        behind = [] if BASELINE in same else _beaten(results, budget, [name for name in same if BASELINE in rewards])
        return _sentence([told, *behind])
    told = f"With {amount}, {_inline(results, best)} does best: {both(rewards[best], how)}"
    return _sentence([told + _lead(results, budget, best), *_doubt(results, rewards, best)])


def more(results: Results) -> list[str]:
    """Further sentences: what beats recursive reward modelling where, and what the yardsticks reach."""
    if results.get("kind") == "sandwich":
        return []
    return [*_missing(results), *_elsewhere(results), *_yardsticks(results)]


def unit(results: Results) -> str:
    """What intervals are of, over how many seeds, and how far they are to be trusted."""
    seeds = len(results.get("seeds") or ())
    if results.get("kind") == "sandwich":
        over = (
            f"over {seeds} seeds" if seeds > 1 else "over the test items of one seed: they do not tell how seeds differ"
        )
        return f"Intervals hold 95 %, {over}; those of the gap recovered are by a bootstrap."
    if seeds < 2:
        return "One seed was run, so there are no intervals, and every difference may be chance."
    if not results["schemes"]:
        return f"Intervals hold 95 %: Student's, over {seeds} seeds."
    told = (
        f"Intervals hold 95 %: of interquartile means and probabilities of improvement by a bootstrap over {seeds} "
        "seeds, of all else Student's."
    )
    if seeds in COVERAGE:
        held = number(COVERAGE[seeds], "share", digits=0)
        told += f" With {seeds} seeds the bootstrap's are too narrow: on normal data {held} of them hold the truth."
    return told


def _lead(results: Results, budget: str, best: str) -> str:
    """By how much the best leads recursive reward modelling, or leads the next where it is that."""
    rewards, how = rewards_at(results, budget, yardsticks=False), style(results)
    other = BASELINE if best != BASELINE and BASELINE in rewards else list(rewards)[1]
    difference = (results.get("difference") or {}).get(budget, {}).get(best if other == BASELINE else other)
    sign = -1 if other == BASELINE else 1
    if mean_of(difference) is None:
        difference, sign = {"mean": _mean(rewards[best]) - _mean(rewards[other])}, 1
    which = "" if other == BASELINE else ", the next best,"
    return (
        f", {_gain(difference, sign, how)} more than {_inline(results, other)}{which} with {both(rewards[other], how)}"
    )


def _gain(difference: Any, sign: int, how: Style) -> str:
    """A difference and its interval, in percentage points where it is one of shares."""
    mean, ends = sign * _mean(difference), ends_of(difference)
    scale, unit_ = (100.0, " points") if how == "share" else (1.0, "")
    shown = {"mean": scale * mean}
    if ends is None:
        return f"{number(scale * mean, digits=1 if unit_ else None)}{unit_}"
    low, high = sorted(scale * sign * end for end in ends)
    shown |= {"low": low, "high": high}
    if not unit_:
        return both(shown)
    return f"{number(scale * mean, digits=1)} points ({number(low, digits=1)} to {number(high, digits=1)})"


def _doubt(results: Results, rewards: Mapping[str, Any], best: str) -> Iterator[str]:
    """What the intervals say about the order."""
    if not any(_has_ends(e) for e in rewards.values()):
        yield "with one seed each, this may be chance"
        return
    close = [name for name in rewards if name != best and not apart(rewards[best], rewards[name])]
    rival = BASELINE if best != BASELINE and BASELINE in rewards else list(rewards)[1]
    if rival in close:
        yield "their intervals overlap, so which of these two is better is not settled"
    elif rival == BASELINE:
        yield "their intervals do not overlap: here recursive reward modelling is beaten"
    if not close:
        yield "no other scheme's interval overlaps with the best's"
    rest = [name for name in close if name != rival]
    if rest:
        theirs = "that" if len(rest) == 1 else "those"
        yield f"the best's interval overlaps with {theirs} of {_listed(results, rest)}, too"


def _beaten(results: Results, budget: str, ahead: Sequence[str]) -> list[str]:
    """Says of schemes that they beat recursive reward modelling, for certain or not."""
    rewards = rewards_at(results, budget, yardsticks=False)
    if not ahead or BASELINE not in rewards:
        return []
    clear = all(apart(rewards[name], rewards[BASELINE]) for name in ahead)
    title = f"{_inline(results, BASELINE)} ({both(rewards[BASELINE], style(results))})"
    return [
        f"{title} is behind"
        + (", and the intervals do not overlap" if clear else ", but intervals overlap or are missing")
    ]


def _missing(results: Results) -> Iterator[str]:
    """That recursive reward modelling itself has nothing to show at the largest budget."""
    budget = largest(results)
    if budget is None or BASELINE not in results["schemes"]:
        return
    if BASELINE not in rewards_at(results, budget, yardsticks=False):
        title = results["schemes"][BASELINE]["title"]
        yield f"{title} has no result with {number(float(budget), 'count')} labels."


def _elsewhere(results: Results) -> Iterator[str]:
    """Where another scheme is ahead of recursive reward modelling for certain, at any number of labels."""
    found = []
    for budget in sorted(map(str, results["budgets"]), key=float):
        rewards = rewards_at(results, budget, yardsticks=False)
        ours = rewards.get(BASELINE)
        ahead = [n for n, e in rewards.items() if ours is not None and _mean(e) > _mean(ours) and apart(e, ours)]
        if ahead:
            found.append(f"{_listed(results, ahead)} with {number(float(budget), 'count')} labels")
    if found:
        yield f"Ahead of recursive reward modelling, with intervals that do not overlap: {'; '.join(found)}."


def _yardsticks(results: Results) -> Iterator[str]:
    budget = largest(results)
    rewards = rewards_at(results, budget, yardsticks=True) if budget is not None else {}
    if rewards:
        told = [f"{_inline(results, name)} reaches {both(e, style(results))}" for name, e in rewards.items()]
        yield f"For comparison, with what the schemes do not have: {'; '.join(told)}."


def _of_ladder(results: Results) -> str:
    """How far up the ladder help keeps the policy right."""
    told = []
    for task in dict.fromkeys(row["task"] for row in results["ladder"]):
        rows = sorted((row for row in results["ladder"] if row["task"] == task), key=lambda row: -row["depth"])
        done = [row for row in rows if mean_of(row.get("root_accuracy")) is not None]
        if not done:
            told.append(f"{plain_words(task)}: no root was trained")
            continue
        words = (
            f"{plain_words(task)} at depth {done[0]['depth']}: root right on {both(done[0]['root_accuracy'], 'share')}"
        )
        bound = mean_of(done[0].get("unaided_optimum"))
        words += (
            f", an unaided evaluator on no more than {number(bound, 'share', digits=1)}" if bound is not None else ""
        )
        words += f" (depth {rows[0]['depth']} was not reached)" if done[0] is not rows[0] else ""
        told.append(words)
    return _sentence(told)


def _of_sandwich(results: Results) -> str:
    """In the words of a run's report."""
    accuracy = {name: e.get("accuracy") for name, e in (results.get("conditions") or {}).items()}
    task = str(results.get("task") or "the task")
    gap = {"accuracy": results.get("gap_recovered")}
    return report.verdict({"root": task, "nodes": {task: {"accuracy": accuracy}}, "gap_recovered": gap})


def _inline(results: Results, name: str) -> str:
    """A scheme's title within a sentence: small at first, unless it is a name in capitals."""
    title = str(results["schemes"][name]["title"])
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def _listed(results: Results, names: Sequence[str]) -> str:
    words = [_inline(results, name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sentence(parts: Sequence[str]) -> str:
    told = "; ".join(parts)
    return told[:1].upper() + told[1:] + "."


def _mean(estimate: Any) -> float:
    value = mean_of(estimate)
    return float("nan") if value is None else value


def _has_ends(estimate: Any) -> bool:
    return isinstance(estimate, Mapping) and mean_of(estimate.get("low")) is not None
