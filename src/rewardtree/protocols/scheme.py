"""What a protocol offers to `rewardtree study`.

To add one, write a file with a `Scheme` in it and name it as an entry point.

A package outside this one does the same:

    [project.entry-points."rewardtree.protocols"]
    my_scheme = "my_package.my_scheme:SCHEME"
"""

from collections.abc import Callable
from dataclasses import dataclass

from rewardtree.protocols.setting import Outcome, Setting


def anything(setting: Setting) -> str | None:
    """For schemes that train on any task."""
    return None


def with_parts(setting: Setting) -> str | None:
    """For schemes that must know how questions fall into easier ones."""
    return None if setting.decomposition else "the domain does not say how its questions fall into easier ones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheme:
    """A scheme for training on a task.

    Attributes:
        name: as in a study's configuration and in the ledger.
        title: for reports.
        paper: which paper it follows.
        run: trains under a setting; what an interrupted call finished is read, not repeated, and it gives the same
            result however often it is called.
        refuses: why it cannot train on this task, or None.
        after: schemes whose trained helpers it borrows, which are therefore run first.
    """

    name: str
    title: str
    paper: str
    run: Callable[[Setting], Outcome]
    refuses: Callable[[Setting], str | None] = anything
    after: tuple[str, ...] = ()
