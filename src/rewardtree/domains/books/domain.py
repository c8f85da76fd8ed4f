"""The domain as `rewardtree run books` finds it."""

from pathlib import Path

from rewardtree.domains.books.heights import Library
from rewardtree.domains.books.nodes import books_tree
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


DOMAIN = Domain(
    name="books",
    summary="summarise books part by part, then the summaries; one policy at all heights",
    nodes=("height_0", "height_1", "height_2"),
    build=build,
    presets={"quick": {"budget": 8}, "full": {"budget": 8}},
)
