"""What people were asked and what of it they answered, for a run's screen, results and report."""

from rewardtree.tree.asking import Waiting


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
