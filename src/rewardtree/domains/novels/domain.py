"""The novels domain as `rewardtree run novels` finds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.domains.novels.books import default_folder, files_of
from rewardtree.domains.novels.consistency import ConsistencyTask
from rewardtree.domains.novels.nodes import novels_tree
from rewardtree.domains.novels.reading import READINGS
from rewardtree.domains.novels.revisions import SHELF
from rewardtree.errors import ConfigError
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Tree

OPTIONS = ("books", "shelf", "encoder")
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
    folder = Path(settings.options["books"]) if "books" in settings.options else default_folder()
    files_of(folder)
    return novels_tree(folder.absolute(), shelf, settings)


def pictures(tree: Tree, policies: Mapping[str, Any], rng: np.random.Generator) -> list[dict[str, str]]:
    """Revised chapters with slots marked, verdicts, and the passages that helpers point at."""
    from rewardtree.domains.novels.pictures import draw_examples

    task = tree.nodes[tree.root].task
    assert isinstance(task, ConsistencyTask)
    return draw_examples(tree, task, policies, rng)


DOMAIN = Domain(
    name="novels",
    summary="find what differs from the book in a revised chapter; a helper points at passages that settle it",
    nodes=("facts", "consistency"),
    build=build,
    pictures=pictures,
    readers=tuple(READINGS),
    presets={
        "quick": {"helper_updates": 400, "updates": 200, "test_pairs": 4000, "test_inputs": 512},
        "full": {"helper_updates": 800, "updates": 400, "test_pairs": 8000, "test_inputs": 1024},
    },
)
