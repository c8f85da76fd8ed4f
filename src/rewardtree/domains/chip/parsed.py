"""What a floorplanning file says, before it becomes a netlist; shared by the readers of all formats."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rewardtree.errors import InputFileError

SMALLEST, LARGEST = 1e-6, 1e9
"""Sizes that are taken for sensible, in the file's unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """Blocks and nets of a file.

    Attributes:
        names: one a block.
        width: in the file's unit, [blocks].
        height: in the file's unit, [blocks].
        nets: distinct blocks of each net that joins two or more.
        activity: one a net.
        terminals: number of pads, which are not placed.
        dropped: number of nets left out, as fewer than two blocks are on them or they carry supply.
        reshaped: number of soft blocks and of blocks that are no rectangle, which got one.
    """

    names: tuple[str, ...]
    width: Float[np.ndarray, " blocks"]
    height: Float[np.ndarray, " blocks"]
    nets: tuple[tuple[int, ...], ...]
    activity: Float[np.ndarray, " nets"]
    terminals: int
    dropped: int
    reshaped: int


def read_text(path: Path, what: str) -> str:
    """The text of a file.

    Raises:
        InputFileError: where it is missing, not UTF-8 or empty; `what` says what it should have been.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = f"cannot be read ({error.strerror or 'no such file'})"
        raise InputFileError(path, None, problem, f"give a readable {what}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise InputFileError(path, None, "is not UTF-8 text", f"save the {what} as UTF-8") from error
    if not text.strip():
        raise InputFileError(path, None, "is empty", f"give a {what}")
    return text


def number(path: Path, line: int, word: str, what: str) -> float:
    """A finite number.

    Raises:
        InputFileError: where `word` is none.
    """
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputFileError(path, line, f"{what} {word[:40]!r} is not a number", "write a number such as 12.5")
    return value


def size(path: Path, line: int, value: float, what: str) -> float:
    """A length within `SMALLEST` and `LARGEST`.

    Raises:
        InputFileError: where it is not.
    """
    if not SMALLEST <= value <= LARGEST:
        remedy = f"give sizes from {SMALLEST:g} to {LARGEST:g}"
        raise InputFileError(path, line, f"{what} is {value:g}", remedy)
    return value


def check(path: Path, parsed: Parsed) -> Parsed:
    """Pass on what can be floorplanned.

    Raises:
        InputFileError: where there are fewer than two blocks or no nets between them.
    """
    if len(parsed.names) < 2:
        raise InputFileError(path, None, f"has {len(parsed.names)} blocks to place", "give two or more")
    if not parsed.nets:
        raise InputFileError(path, None, "has no net that joins two blocks", "give one or more")
    return parsed
