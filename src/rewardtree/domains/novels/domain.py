"""The novels domain as `rewardtree run novels` finds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.domains.novels.books import default_folder, files_of
from rewardtree.domains.novels.consistency import ConsistencyTask
from rewardtree.domains.novels.nodes import consistency_tree, novels_tree
from rewardtree.domains.novels.reading import READINGS
from rewardtree.domains.novels.revising import RevisingTask
from rewardtree.domains.novels.revisions import SHELF
from rewardtree.errors import ConfigError
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Tree

OPTIONS = ("books", "shelf", "root", "encoder")
ROOTS = {"passage": novels_tree, "consistency": consistency_tree}
"""Trees by their root: the whole one, and a part of it that can be trained alone."""
FEWEST = 16
"""Passages in hand, at least."""


def build(settings: Settings) -> Tree:
    """The tree of a folder of books.

    Raises:
        ConfigError: where an option is unknown or wrong, or the folder holds too few books.
    """
    unknown = set(settings.options) - set(OPTIONS)
    if unknown:
        raise ConfigError(f"the novels domain knows the options {', '.join(OPTIONS)}, not {', '.join(sorted(unknown))}")
    shelf = settings.options.get("shelf", SHELF)
    if not isinstance(shelf, int) or shelf < FEWEST:
        raise ConfigError(f"options.shelf = {shelf!r}: give the number of passages in hand, {FEWEST} or more")
    if not isinstance(settings.options.get("encoder", "minilm"), str):
        raise ConfigError(f"options.encoder = {settings.options['encoder']!r}: give an encoder's name, such as minilm")
    root = settings.options.get("root", "passage")
    if root not in ROOTS:
        raise ConfigError(f"options.root = {root!r}: give one of {', '.join(ROOTS)}")
    folder = Path(settings.options["books"]) if "books" in settings.options else default_folder()
    files_of(folder)
    return ROOTS[root](folder.absolute(), shelf, settings)


def pictures(tree: Tree, policies: Mapping[str, Any], rng: np.random.Generator) -> list[dict[str, str]]:
    """Revised chapters with slots marked, and the claims and passages that helpers give."""
    from rewardtree.domains.novels.chapter_pictures import draw_revisions
    from rewardtree.domains.novels.pictures import draw_examples

    task = tree.nodes[tree.root].task
    if isinstance(task, RevisingTask):
        return draw_revisions(tree, task, policies, rng)
    assert isinstance(task, ConsistencyTask)
    return draw_examples(tree, task, policies, rng)


DOMAIN = Domain(
    name="novels",
    summary="revise a chapter so that it fits its book; helpers for consistency (facts), summary (parts) and excerpts",
    nodes=("facts", "consistency", "parts", "summary", "excerpts", "passage"),
    build=build,
    pictures=pictures,
    readers=tuple(READINGS),
    presets={
        "quick": {"helper_updates": 400, "updates": 200, "test_pairs": 4000, "test_inputs": 512},
        "full": {"helper_updates": 800, "updates": 400, "test_pairs": 8000, "test_inputs": 1024},
    },
)
