"""Made-up novels by a seeded generator: people with titles and surnames, and places, that recur over chapters."""

from pathlib import Path

import numpy as np

FIRST = ("Alban", "Bertrand", "Cosmo", "Drogo", "Edric", "Fulke", "Gervase", "Hamon", "Ivo", "Joscelin")
FAMILY = (
    "Adderley", "Bagshawe", "Cantlow", "Dacombe", "Enfield", "Fulwood", "Gascoyne", "Hurrell", "Isham", "Jessopp",
)  # fmt: skip
PLACES = ("Ravelstone", "Tinmouth", "Oakleigh", "Wexcombe", "Yarrow", "Zennor")
TITLES = ("Captain", "Colonel", "Admiral", "General")
KINDS = ("Park", "Hall", "Abbey", "Street")
FILLING = (
    "It rained all morning, and nobody in the house was willing to say what everybody thought.",
    "The letter lay upon the table, and the fire was low, and the carriage had been ordered at noon.",
    "There was a long silence, in which the clock was heard, and then the door was shut with care.",
    "After dinner they walked as far as the gate, and talked of nothing but the weather and the roads.",
    "She had never believed a word of it, and she said as much to her sister in a low voice.",
)


def write_book(path: Path, seed: int, chapters: int = 12) -> None:
    """A book of so many chapters, in each of which most people and places are named."""
    rng = np.random.default_rng(seed)
    family = rng.permutation(FAMILY)
    title = rng.permutation(np.repeat(TITLES, 3))[: len(family)]
    first = rng.permutation(FIRST)
    kind = rng.permutation(np.repeat(KINDS, 2))[: len(PLACES)]
    lines = []
    for chapter in range(chapters):
        lines += [f"Chapter {chapter + 1}", ""]
        for _ in range(9):
            sentences = [str(rng.choice(FILLING)) for _ in range(2)]
            one, other = rng.integers(len(family), size=2)
            place = int(rng.integers(len(PLACES)))
            sentences += [
                f"It was {title[one]} {family[one]} who spoke first, and nobody answered.",
                f"They had met the amiable {first[other]} {family[other]} at the window.",
                f"In the evening he rode to {PLACES[place]} {kind[place]} by himself.",
            ]
            bare = f"Then came {family[int(rng.integers(len(family)))]}, and of {family[one]} there was no more talk."
            lines += [" ".join([*(str(one) for one in rng.permutation(sentences)), bare]), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_books(folder: Path) -> Path:
    """Five books, 60 chapters: by their names' order two to train on, one each to calibrate, validate and test with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("a", "b", "c", "d", "e")):
        write_book(folder / f"{name}_made_up.txt", number)
    return folder
