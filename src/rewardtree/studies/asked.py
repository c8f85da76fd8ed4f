"""What people were asked and what of it they answered, for a run's screen, results and report."""

from collections.abc import Mapping, Sequence
from typing import Any

from rewardtree.preferences import Store
from rewardtree.tree.asking import Waiting, tally
from rewardtree.tree.checkpoint import Trained

SIMULATED = "Measured with the simulated evaluator, not with people."


def words_on(now: Waiting) -> str:
    """How far people are, who has the rest, and what to do where the rest cannot come.

    Example:
        >>> words_on(Waiting(given=37, wanted=40, out=2, minutes=14, aside=0, allowed=4))
        '37 of 40 answers are there, 2 with labellers now (for 14 min at most), 1 waits for anybody'
    """
    parts = [f"{now.given} of {now.wanted} answers are there"]
    if now.out:
        parts.append(f"{now.out} with labellers now (for {now.minutes} min at most)")
    if now.open:
        parts.append(f"{now.open} wait{'s' if now.open == 1 else ''} for anybody")
    words = ", ".join(parts)
    if now.aside > now.allowed:
        words += (
            f"; {now.aside} are set aside as broken, and {now.allowed} at most are gone on without: put comparisons "
            "back on the page under Quality"
        )
    return words


def answers(store: Store, trained: Trained) -> dict[str, int]:
    """What was asked at a node that people judge, and what came of it.

    Args:
        store: of the run.
        trained: the node, after an iteration.

    Returns:
        `asked`: answers that people are to give; `given`: those that are there; `aside`: those that are missing as
        their comparisons are set aside; `simulated`: comparisons that a simulated evaluator judges instead;
        `trained_on`: comparisons that the reward model learnt from.
    """
    assert trained.feedback is not None, "an iteration leaves some"
    asked = list(store.comparisons(trained.feedback.ids).values())
    found, last = tally(store, asked), trained.fits[-1]
    return {
        "asked": found.asked, "given": found.given, "aside": found.aside,
        "simulated": sum(not one.slots for one in asked), "trained_on": last.pairs + last.held_out,
    }  # fmt: skip


def add_up(seeds: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """`answers` of every node, over all seeds."""
    total: dict[str, dict[str, int]] = {}
    for name, found in (item for seed in seeds for item in seed.items()):
        kept = total.setdefault(name, dict.fromkeys(found, 0))
        for what, count in found.items():
            kept[what] += count
    return total


def given(results: Mapping[str, Any]) -> list[str]:
    """Of a run's results, a sentence for every node that people judge: how much of what they were asked is there."""
    return [
        f"People gave {found['given']} of {found['asked']} answers at {name}."
        for name, found in (results.get("answers") or {}).items()
    ]


def taught(results: Mapping[str, Any], root: str) -> str:
    """Whose answers the true reward of the tree's root rests on, where people judge it; to stand behind its name."""
    found = (results.get("answers") or {}).get(root)
    if found is None:
        return ""
    if not found["given"]:
        return ", people gave no answers"
    return ", by people's answers" + (" and simulated ones" if found["simulated"] else "")


def warnings(results: Mapping[str, Any]) -> list[str]:
    """Of a run's results, a sentence for every node that lacks answers of people: what this means, and the remedy."""
    found = []
    for name, node in (results.get("answers") or {}).items():
        missing = node["asked"] - node["given"]
        if not missing:
            continue
        aside = f" ({node['aside']} of them set aside as broken)" if node["aside"] else ""
        whose = " answered by the simulated evaluator alone" if not node["given"] else ""
        learnt = (
            f"its reward model was trained on {node['trained_on']} comparisons{whose}"
            if node["trained_on"]
            else "its reward model was trained on nothing, and what its policy is worth says nothing of people"
        )
        found.append(
            f"{missing} of {node['asked']} answers at {name} are missing{aside}: {learnt}. Answers that come now "
            "change nothing; run again, without people_wait and with people_enough=1, to have them all."
        )
    return found
