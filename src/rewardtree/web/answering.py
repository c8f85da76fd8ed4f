"""Taking an answer in, for pages and other front ends alike."""

import unicodedata

from rewardtree.preferences.working import Stage, Work, swapped
from rewardtree.web.access import Visit
from rewardtree.web.display import Shown, own_choice

LONGEST = 4000
"""Characters of a rationale or report."""


def give(visit: Visit, token: str, choice: Shown, stage: Stage | None, rationale: str) -> bool:
    """Stores an answer.

    Args:
        visit: who answers.
        token: of the lease.
        choice: about A and B.
        stage: the stage that this answers; None where there is but one.
        rationale: the reason, may be empty.

    Returns:
        False if this stage was answered before; then nothing is stored.

    Raises:
        LeaseError: the lease is not this labeller's, or ran out.
    """
    own = own_choice(choice, swapped(token))
    return visit.site.labelling.answer(visit.name, token, own, rationale=rationale, stage=stage)


def give_and_go_on(
    visit: Visit, token: str, choice: Shown, stage: Stage | None, rationale: str
) -> tuple[bool, Work | None]:
    """The same, and the next comparison with it."""
    own = own_choice(choice, swapped(token))
    return visit.site.labelling.answer_and_go_on(visit.name, token, own, rationale=rationale, stage=stage)


def cleaned(text: str) -> str:
    """What somebody wrote, less control characters, with line breaks of one kind."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs")).strip()


def sentence(error: Exception) -> str:
    """An error's text as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
