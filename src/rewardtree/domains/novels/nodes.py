"""The tree of the domain: `passage <- {consistency <- {facts}, summary <- {parts}, parts, excerpts}`.

- `facts`: which passage of the book settles a slot, and how? Judged by opening the passage, one reading an answer.
- `consistency`: which slot of a revised chapter differs from the book? It asks `facts` what the book says of the slot,
  which fixes the reward.
- `parts`: in which passage of a quarter of a chapter is a name on stage? One reading an answer.
- `summary`: in which quarter of a chapter is a name on stage? It asks `parts` for a passage that has it.
- `excerpts`: which passage of the book tells most about a chapter? One reading an answer.
- `passage`: revise a chapter so that it fits the book. It asks all of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.domains.novels.books import files_of, read_book, splits_of
from rewardtree.domains.novels.chapters import Chapters, DrawChapters, chapters_of
from rewardtree.domains.novels.consistency import Finding, consistency_task
from rewardtree.domains.novels.excerpts import excerpts_task
from rewardtree.domains.novels.facts import Draw, facts_task
from rewardtree.domains.novels.filling import FillingLearner
from rewardtree.domains.novels.meaning import understood
from rewardtree.domains.novels.reading import with_model
from rewardtree.domains.novels.revising import RevisingTask
from rewardtree.domains.novels.revisions import ORIGINS, Revisions, draw
from rewardtree.domains.novels.stage import Stage, draw_stage
from rewardtree.domains.novels.summary import DrawStage, parts_task, summary_task
from rewardtree.domains.novels.swapping import renamed_for
from rewardtree.domains.novels.volumes import HELD_OUT, TRAINED, Volume, volume_of
from rewardtree.domains.novels.words import Kind
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import AnswerTask
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
        split: tuple(volume_of(renamed_for(read_book(path), seed)) for path in paths)
        for split, paths in splits_of(files_of(folder)).items()
    }


@lru_cache(maxsize=2)
def understood_library(folder: Path, seed: int, encoder: str) -> Library:
    """The same, with what an encoder makes of the books."""
    return {split: tuple(understood(one, encoder) for one in some) for split, some in library(folder, seed).items()}


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


def drawing_chapters(plain: Draw) -> DrawChapters:
    """Draws chapters to be revised."""

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Chapters:
        return chapters_of(plain(rng, count, split), rng)

    return drawn


def drawing_stage(folder: Path, seed: int) -> DrawStage:
    """Draws chapters with names; arguments as for `drawing`."""

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Stage:
        return draw_stage(library(folder, seed)[split], rng, count, offset=SPLITS.index(split) * 1000 * ORIGINS)

    return drawn


def novels_tree(folder: Path, shelf: int, settings: Settings) -> Tree:
    """The tree with its learners and budgets; books are read when something is first drawn.

    Args:
        folder: of the books.
        shelf: passages in hand.
        settings: budgets and evaluators' limits.
    """
    below = consistency_nodes(folder, shelf, settings)
    plain = drawing(folder, settings.seed, shelf, encoder=settings.options.get("encoder"))
    chapters, stage = drawing_chapters(plain), drawing_stage(folder, settings.seed)
    parts, summary, excerpts = parts_task(stage), summary_task(stage), excerpts_task(chapters)
    root = RevisingTask(draw=chapters)
    helpers = ("consistency", "summary", "parts", "excerpts")

    def aside() -> dict[str, Aside]:
        silent = {
            f"without_{name}": Aside(task=replace(root, silent=frozenset({name})), helped=True, alone=False)
            for name in helpers
        }
        return silent | {"unaided_with_index": Aside(task=replace(root, finding="index"), helped=False)}

    def helper(name: str, task: Any, answers: AnswerTask, helpers: tuple[str, ...] = ()) -> Node:
        return Node(
            name=name, task=task, learner=AnsweringLearner(task=answers, updates=settings.helper_updates),
            helpers=helpers, budget=settings.helper, bounds=settings.bounds, peaked=True, selection=settings.selection,
        )  # fmt: skip

    nodes = [
        *below,
        helper("parts", parts, parts),
        helper("summary", summary, summary.answers, ("parts",)),
        helper("excerpts", excerpts, excerpts),
        Node(
            name="passage", task=root, learner=FillingLearner(task=root), helpers=helpers, budget=settings.root,
            bounds=settings.bounds, selection=settings.selection, aside=aside,
        ),
    ]  # fmt: skip
    return Tree(nodes={node.name: node for node in nodes}, root="passage")


def consistency_tree(folder: Path, shelf: int, settings: Settings) -> Tree:
    """The tree under `consistency` alone; arguments as for `novels_tree`."""
    nodes = consistency_nodes(folder, shelf, settings)
    return Tree(nodes={node.name: node for node in nodes}, root="consistency")


def consistency_nodes(folder: Path, shelf: int, settings: Settings) -> tuple[Node, ...]:
    """`facts` and `consistency`, by language models where the settings have some; arguments as for `novels_tree`."""
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

    nodes = (
        Node(
            name="facts", task=facts, learner=AnsweringLearner(task=facts, updates=settings.helper_updates),
            budget=settings.helper, bounds=settings.bounds, peaked=True, selection=settings.selection,
        ),
        Node(
            name="consistency", task=consistency,
            learner=AnsweringLearner(task=consistency.answers, updates=settings.updates), helpers=("facts",),
            budget=settings.root, bounds=settings.bounds, peaked=True, selection=settings.selection, aside=aside,
        ),
    )  # fmt: skip
    return tuple(with_model(node, settings) for node in nodes)


def _has(volume: Volume, kind: Kind) -> bool:
    return any(known == ("title" if kind == "negation" else kind) for known, _ in volume.keys)
