"""Where marks go on a board: pieces of a text, numbers of claims, values of readings. Filters for the templates."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from rewardtree.web.display import Box, Found, Panel, Said, Spot

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a text over which nothing begins or ends.

    Attributes:
        text: its characters.
        place: the smallest place of the chosen instrument that it is in, or None.
        claims: numbers of the opened claims that point at it.
        read: whether it was read.
        values: what was read of what ends here.
    """

    text: str
    place: int | None
    claims: tuple[int, ...]
    read: bool
    values: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether it is in no place and no claim points at it."""
        return self.place is None and not self.claims and not self.read


def pieces(panel: Panel, instrument: str | None) -> list[Piece]:
    """Cuts a text where places and claims begin and end.

    Args:
        panel: with a text.
        instrument: whose places count; None for none.
    """
    text = panel.data
    spots = [spot for spot in panel.spots.get(instrument or "", ()) if len(spot.box) == 2]
    claims = [claim for claim in panel.claims if len(claim.box) == 2]
    found = [reading for reading in panel.readings if len(reading.spot.box) == 2]
    ends = {0, len(text)}
    boxes = [spot.box for spot in spots] + [claim.box for claim in claims] + [reading.spot.box for reading in found]
    for box in boxes:
        ends.update(min(max(int(end), 0), len(text)) for end in box)
    return [
        Piece(
            text=text[start:end],
            place=_smallest([spot for spot in spots if _holds(spot.box, start, end)]),
            claims=tuple(claim.number for claim in claims if _holds(claim.box, start, end)),
            read=any(_holds(reading.spot.box, start, end) for reading in found),
            values=tuple(reading.text for reading in found if int(reading.spot.box[1]) == end),
        )
        for start, end in pairwise(sorted(ends))
    ]


def _holds(box: Box, start: int, end: int) -> bool:
    return box[0] <= start and end <= box[1]


def _smallest(spots: list[Spot]) -> int | None:
    return min(spots, key=lambda spot: spot.box[1] - spot.box[0]).place if spots else None


def pills(panel: Panel, unit: float) -> list[tuple[Found, Box]]:
    """Readings on a picture, each with the box of the label that bears its value.

    Args:
        panel: with a picture.
        unit: height of the letters.
    """
    placed: list[tuple[Found, Box]] = []
    for found in panel.readings:
        if len(found.spot.box) != 4:
            continue
        x, y, w, h = found.spot.box
        width, height = unit * (0.58 * len(found.text) + 1.1), unit * 1.5
        left = min(max(0.0, x + w / 2 - width / 2), max(0.0, panel.width - width))
        above, below = y - height - unit * 0.2, y + h + unit * 0.2
        tops = [top for top in (above, below, above - height, below + height) if 0 <= top <= panel.height - height]
        boxes: list[Box] = [(left, top, width, height) for top in tops or [max(0.0, above)]]
        free = (box for box in boxes if not any(_overlap(box, other) for _, other in placed))
        placed.append((found, next(free, boxes[0])))
    return placed


def badges(panel: Panel, unit: float) -> list[tuple[Said, Point]]:
    """Opened claims on a picture, each with the middle of its number: at a corner of its place, side by side.

    Args:
        panel: with a picture.
        unit: height of the letters.
    """
    placed: list[tuple[Said, Point]] = []
    for claim in panel.claims:
        if len(claim.box) != 4:
            continue
        x, y = claim.box[0], claim.box[1]
        x, y = x - 0.45 * unit, y - 0.45 * unit
        at = (min(max(0.8 * unit, x), panel.width - unit), min(max(0.8 * unit, y), panel.height - unit))
        while any(abs(at[0] - other[0]) + abs(at[1] - other[1]) < 1.4 * unit for _, other in placed):
            at = (at[0] + 1.5 * unit, at[1])
        placed.append((claim, at))
    return placed


def _overlap(one: Box, other: Box) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def flat(panel: Panel, box: Box) -> str:
    """A place's box for the browser: left, top, width, height; a text's or clip's lie on a line."""
    edges = (box[0], 0.0, box[1] - box[0], 1.0) if panel.kind != "picture" and len(box) == 2 else box
    return " ".join(f"{edge:g}" for edge in edges)


def seconds(panel: Panel) -> float:
    """How long a clip's time line is: to the end of the last thing on it."""
    spots = [spot.box for spots in panel.spots.values() for spot in spots]
    ends = [box[1] for box in (*spots, *(claim.box for claim in panel.claims)) if len(box) == 2]
    return max(ends, default=0.0)


def is_dark_aware(panel: Panel) -> bool:
    """Whether a picture has colours of its own for a dark page; if not, it is put on white paper."""
    return panel.media_type == "image/svg+xml" and "prefers-color-scheme" in panel.data


FILTERS = {
    "pieces": pieces,
    "pills": pills,
    "badges": badges,
    "flat": flat,
    "seconds": seconds,
    "is_dark_aware": is_dark_aware,
}
"""For the templates, by name."""
