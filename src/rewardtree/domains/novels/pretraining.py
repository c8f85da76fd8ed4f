"""What a decoder learns from: the training books alone, with other names for people and places in every pass.

Runs exchange the names too, so a decoder that knew the books' own by heart would have learnt what is of no use there;
where names change from pass to pass, who is who must be taken from the text at hand.
"""

from pathlib import Path

from rewardtree.domains.novels.books import files_of, read_book, splits_of
from rewardtree.domains.novels.swapping import renamed
from rewardtree.tasks.task import Split

OF_PASS = 23
"""Sets the names of passes apart from those of runs."""


def texts_of(folder: Path, split: Split, seed: int, number: int = 0) -> list[str]:
    """Chapters of a split's books, with names of this seed and pass.

    Raises:
        ConfigError: where the folder holds too few books.
    """
    found: list[str] = []
    for path in splits_of(files_of(folder))[split]:
        found += renamed(read_book(path), seed, OF_PASS, number).chapters
    return found
