"""What following errors up a tree found, in sentences that claim no more than intervals let them."""

from collections.abc import Iterator, Mapping
from typing import Any

from rewardtree.studies.wording import both, middle, number

Results = Mapping[str, Any]
SAYS = {
    "absorbed": "{kind} faults are absorbed",
    "compounded": "{kind} faults compound in full",
    "less": "{kind} faults compound less than in full",
    "more": "{kind} faults do more than compound",
    "unsettled": "whether {kind} faults are absorbed or compound is not settled",
}


def verdict(results: Results) -> str:
    """The main finding: what becomes of each kind of fault."""
    told = [_kind(kind, model) for kind, model in results["model"].items()]
    if not told:
        return "Too little was learnt to say how errors grow."
    sentence = "; ".join(told)
    return sentence[:1].upper() + sentence[1:] + "."


def _kind(kind: str, model: Results) -> str:
    told = SAYS[model["says"]].format(kind=kind)
    return f"{told}: of compounding over different answers, a share of {share(model)} is left"


def share(model: Results) -> str:
    """The share of compounding that is left and its interval, to two digits after the point."""
    found = model["share"]
    ends = "" if found["low"] is None else f" ({found['low']:.2f} to {found['high']:.2f})"
    return f"{found['mean']:.2f}{ends}"


def more(results: Results) -> list[str]:
    """What the highest rate of each kind comes to, and how the model's prediction fared."""
    return [sentence for kind, model in results["model"].items() for sentence in _highest(results, kind, model)]


def _highest(results: Results, kind: str, model: Results) -> Iterator[str]:
    tests = [test for test in model["tests"] if test["rate"] > 0]
    if not tests:
        return
    test = tests[-1]
    row = next(r for r in at(results, kind, test["rate"]) if r["depth"] == model["tested"])
    told = (
        f"With {number(test['rate'], 'share')} {kind} faults in {results['node']}, the error at depth {row['depth']} "
        f"is {both(row['error'], 'share')}; without training, by recursion, {both(row['recursion'], 'share')}"
    )
    fared = {True: ", which holds", False: ", which does not hold", None: ""}[test["held"]]
    yield f"{told}. The model, fitted below that depth, says {both(test['predicted'], 'share')}{fared}."
    useful = next(u for u in model["useful"] if u["rate"] == test["rate"])
    yield (
        f"The largest depth with an error up to {number(results['threshold'], 'share')}: of those measured "
        f"{depth_of(useful['measured'])}, by recursion {depth_of(useful['recursion'])}, by the model {deepest(useful)}."
    )


def depth_of(depth: int | None) -> str:
    """A depth, or that there is none."""
    return "none" if depth is None else str(depth)


def deepest(useful: Results) -> str:
    """The useful depth by the model."""
    return "any" if useful["endless"] else depth_of(useful["predicted"])


def at(results: Results, fault: str, rate: float) -> list[Results]:
    """The rows of `curves` with a fault; without any at rate 0, whatever the kind."""
    kind = fault if rate else "none"
    return [row for row in results["curves"] if row["fault"] == kind and row["rate"] == rate]


def unlearnt(results: Results) -> list[str]:
    """Why some levels count in no figure."""
    return [
        f"Seed {row['seed']}, {number(row['rate'], 'share') + ' ' + row['fault'] if row['rate'] else 'no'} faults: "
        f"depth {row['depth']} was not learnt: its policy is wrong on {middle(row['policy'], 'share')}, "
        f"{number(100 * row['added'], digits=0)} points more than its reward model's best answers."
        for row in results["unlearnt"]
    ]


def unit(results: Results) -> str:
    """What intervals are of."""
    seeds = len(results["seeds"])
    if seeds < 2:
        return (
            "Intervals hold 95 %, over the test questions of one seed: they do not tell how seeds differ, and of the "
            "model's figures there are none."
        )
    return (
        f"Intervals hold 95 %: Student's, over {seeds} seeds; those of the model's figures by the jackknife over seeds."
    )
