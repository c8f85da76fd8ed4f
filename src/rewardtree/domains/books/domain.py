"""The domain as `rewardtree run books` finds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardtree.domains.books.heights import Library
from rewardtree.domains.books.measuring import Measured, measured, writers
from rewardtree.domains.books.nodes import books_tree
from rewardtree.domains.books.outlines import outlines
from rewardtree.domains.novels.books import default_folder, files_of
from rewardtree.errors import ConfigError
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Tree

LEAST = {"heights": 2, "fan": 2, "limit": 20, "top_limit": 20}
"""Options that are numbers, and what each is at least."""


def build(settings: Settings) -> Tree:
    """The tree of a folder of books.

    Raises:
        ConfigError: where an option is unknown or wrong, or the folder holds too few books.
    """
    return books_tree(library_of(settings), settings)


def library_of(settings: Settings) -> Library:
    """The books that options name.

    Raises:
        ConfigError: where an option is unknown or wrong, or the folder holds too few books.
    """
    options = settings.options
    known = ("books", *LEAST)
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"the books domain knows the options {', '.join(known)}, not {', '.join(unknown)}")
    for name, least in LEAST.items():
        value = options.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"options.{name} = {value!r}: give a whole number, {least} or more")
    folder = Path(options["books"]) if "books" in options else default_folder()
    files_of(folder)
    return Library(folder=folder.absolute(), seed=settings.seed, **{n: options[n] for n in LEAST if n in options})


AT_ONCE = ("imitation", "trained", "first sentences", "centrality", "common words")
"""Who summarises whole books at once too."""


def stages(settings: Settings, policies: Mapping[str, Any]) -> Measured:
    """What policies and rules are worth on the test books, at every height."""
    return measured(library_of(settings), "test", writers(policies, settings.seed), frozenset(AT_ONCE))


def summaries(settings: Settings, policy: Any) -> list[dict[str, Any]]:
    """The test books' summaries, with what they are made of."""
    return outlines(library_of(settings), "test", policy.answer)


DOMAIN = Domain(
    name="books",
    summary="summarise books part by part, then the summaries; one policy at all heights",
    nodes=("height_0", "height_1", "height_2"),
    build=build,
    stages=stages,
    outlines=summaries,
    presets={
        "quick": {
            "budget": 4,
            "helper_labels": 300,
            "helper_iterations": 2,
            "root_labels": 300,
            "root_iterations": 2,
            "helper_updates": 60,
            "updates": 60,
            "test_pairs": 800,
        },
        "full": {"budget": 4, "helper_updates": 120, "updates": 120},
    },
)
