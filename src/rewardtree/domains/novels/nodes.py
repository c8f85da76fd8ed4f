"""The tree of the domain: `consistency <- facts`.

- `facts`: which passage of the book settles a slot, and how? Judged by opening the passage, one reading an answer.
- `consistency`: which slot of a revised chapter differs from the book? It asks `facts` what the book says of the slot,
  which fixes the reward.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from rewardtree.domains.novels.books import Book, files_of, read_book, splits_of
from rewardtree.domains.novels.consistency import Finding, consistency_task
from rewardtree.domains.novels.facts import Draw, facts_task
from rewardtree.domains.novels.meaning import understood
from rewardtree.domains.novels.reading import with_model
from rewardtree.domains.novels.revisions import ORIGINS, Revisions, draw
from rewardtree.domains.novels.swapping import new_names, swapped
from rewardtree.domains.novels.volumes import HELD_OUT, TRAINED, Volume, volume_of
from rewardtree.domains.novels.words import Kind
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.task import SPLITS, Split
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Aside, Node, Tree

Library = Mapping[Split, tuple[Volume, ...]]
CONTROLS: tuple[Finding, ...] = ("search", "index")
"""What unaided readers have something more for, measured as controls."""


@lru_cache(maxsize=2)
def library(folder: Path, seed: int) -> Library:
    """The books of a folder, made ready, with names exchanged as the seed has it."""
    return {
        split: tuple(renamed(read_book(path), seed) for path in paths)
        for split, paths in splits_of(files_of(folder)).items()
    }


@lru_cache(maxsize=2)
def understood_library(folder: Path, seed: int, encoder: str) -> Library:
    """The same, with what an encoder makes of the books."""
    return {split: tuple(understood(one, encoder) for one in some) for split, some in library(folder, seed).items()}


def renamed(book: Book, seed: int) -> Volume:
    """A book made ready under new names, which follow from its name and the seed."""
    rng = np.random.default_rng([seed, 17, *book.name.encode()])
    return volume_of(swapped(book, new_names(book, rng)))


def drawing(folder: Path, seed: int, shelf: int, kinds: tuple[Kind, ...] = TRAINED, encoder: str | None = None) -> Draw:
    """Draws revised chapters of each split.

    Args:
        folder: of the books.
        seed: of new names.
        shelf: passages in hand.
        kinds: of slots in the test split; the others always have those that are trained on.
        encoder: of passages, for what policies see of them; None for words alone.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Revisions:
        books = understood_library(folder, seed, encoder) if encoder else library(folder, seed)
        return draw(
            books[split], rng, count, kinds=kinds if split == "test" else TRAINED,
            offset=SPLITS.index(split) * 1000 * ORIGINS, shelf=shelf,
        )  # fmt: skip

    return drawn


def novels_tree(folder: Path, shelf: int, settings: Settings) -> Tree:
    """The tree with its learners and budgets; books are read when something is first drawn.

    Args:
        folder: of the books.
        shelf: passages in hand.
        settings: budgets and evaluators' limits.
    """
    encoder = settings.options.get("encoder")
    plain = drawing(folder, settings.seed, shelf, encoder=encoder)
    facts, consistency = facts_task(plain), consistency_task(plain)

    def aside() -> dict[str, Aside]:
        found = {f"unaided_with_{name}": Aside(task=consistency_task(plain, name), helped=False) for name in CONTROLS}
        for kind in HELD_OUT:
            if any(_has(volume, kind) for volume in library(folder, settings.seed)["test"]):
                drawn = drawing(folder, settings.seed, shelf, (kind,), encoder)
                found[f"held_out_{kind}"] = Aside(task=consistency_task(drawn), helped=True)
        return found

    nodes = [
        Node(
            name="facts", task=facts, learner=AnsweringLearner(task=facts, updates=settings.helper_updates),
            budget=settings.helper, bounds=settings.bounds, peaked=True, selection=settings.selection,
        ),
        Node(
            name="consistency", task=consistency,
            learner=AnsweringLearner(task=consistency.answers, updates=settings.updates), helpers=("facts",),
            budget=settings.root, bounds=settings.bounds, peaked=True, selection=settings.selection, aside=aside,
        ),
    ]  # fmt: skip
    return Tree(nodes={node.name: with_model(node, settings) for node in nodes}, root="consistency")


def _has(volume: Volume, kind: Kind) -> bool:
    return any(known == ("title" if kind == "negation" else kind) for known, _ in volume.keys)
