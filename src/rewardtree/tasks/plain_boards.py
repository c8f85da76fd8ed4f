"""Boards without a picture: text in which places are stretches, and records of outputs for tasks that draw nothing."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from rewardtree.tasks.board import Board, Instrument, Spot

Stretch: TypeAlias = tuple[int, str, str]
"""A place, what it is called, and the words of the text that stand for it."""


def written(parts: Iterable[str | Stretch], facts: tuple[tuple[str, str], ...] = ()) -> tuple[Board, tuple[Spot, ...]]:
    """A text, and the places in it.

    Args:
        parts: of the text, one after the other; those that are places bear their number and name.
        facts: what else is seen for free.
    """
    text, spots = [], []
    at = 0
    for part in parts:
        words = part if isinstance(part, str) else part[2]
        if not isinstance(part, str):
            spots.append((part[0], part[1], (float(at), float(at + len(words)))))
        text.append(words)
        at += len(words)
    whole = "".join(text)
    return Board(kind="text", media_type="text/plain", data=whole, alt=whole, facts=facts), tuple(spots)


def apart(places: Iterable[Stretch], mark: str = ", ") -> Iterator[str | Stretch]:
    """Places with commas, or another mark, between them."""
    for number, place in enumerate(places):
        if number:
            yield mark
        yield place


def beneath(board: Board, tools: Iterable[Instrument]) -> tuple[Board, tuple[Instrument, ...]]:
    """A text with the places listed under it at which texts can be opened, but for those that are on it already."""
    found = []
    for tool in tools:
        away = [(place, label, label) for place, label, box in tool.places if not box]
        if board.kind == "text" and tool.texts and away:
            named = apart(away, " \N{MIDDLE DOT} ")
            board, spots = written([board.data, f"\n\n{tool.label}: ", *named], board.facts)
            listed = {spot[0]: spot for spot in spots}
            tool = replace(tool, places=tuple(listed.get(spot[0], spot) for spot in tool.places))
        found.append(tool)
    return board, tuple(found)


def quoted(span: Sequence[int]) -> str:
    """Where a claim's words stand, for people; chapters are counted from 1 and none is below 0."""
    chapter, start, end = span
    return "no passage" if chapter < 0 else f"chapter {chapter + 1}, characters {start} to {end}"


def listed(places: Iterable[int]) -> list[str | Stretch]:
    """Places by number, for a text."""
    return ["Places: ", *apart((place, str(place), str(place)) for place in places)]


def named(instrument: str) -> str:
    """The name of an instrument or quantity for people."""
    return instrument.replace("_", " ").capitalize()


def signed(text: str) -> str:
    """The text with proper minus signs before numbers."""
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def digest_board(
    given: Mapping[str, Any], made: Mapping[str, Any], places: Mapping[str, int]
) -> tuple[Board, tuple[Instrument, ...]]:
    """The records that name input and output, line by line.

    Args:
        given: record of the input.
        made: record of the output.
        places: how many each instrument has; they are listed by number and stand nowhere on the board.
    """
    lines = [f"{named(key)}: {value}" for record in (given, made) for key, value in record.items()]
    board, _ = written(["\n".join(lines)])
    return board, tuple(
        Instrument(
            name=name, label=named(name), digits=3, places=tuple((i, f"place {i}", ()) for i in range(count))
        )
        for name, count in places.items()
    )  # fmt: skip
