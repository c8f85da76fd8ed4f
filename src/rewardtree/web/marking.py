"""Where marks go on a board: pieces of a text, numbers of claims, values of readings. Filters for the templates."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from rewardtree.web.display import Box, Found, Panel, Said, Spot

Point: TypeAlias = tuple[float, float]

LETTER, SIZE = 0.62, 13.0
"""Width of a letter for each unit of its height, and the height of those on a picture that does not say it."""
_TEXT = re.compile(r"<text\b([^>]*)>([^<]+)</text>")
_NUMBER = r"[\s;\"']{}[=:]\s*[\"']?(-?\d+(?:\.\d+)?)"
_X, _Y, _SIZE = (re.compile(_NUMBER.format(name)) for name in ("x", "y", "font-size"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a text over which nothing begins or ends.

    Attributes:
        text: its characters.
        place: the smallest place of the chosen instrument that it is in, or None.
        claims: numbers of the opened claims that point at it.
        read: whether it was read.
        values: what was read of what ends here, where these are values.
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
            values=tuple(one.text for one in found if int(one.spot.box[1]) == end and not one.words),
        )
        for start, end in pairwise(sorted(ends))
    ]


def _holds(box: Box, start: int, end: int) -> bool:
    return box[0] <= start and end <= box[1]


def _smallest(spots: list[Spot]) -> int | None:
    return min(spots, key=lambda spot: spot.box[1] - spot.box[0]).place if spots else None


def pills(panel: Panel, unit: float) -> list[tuple[Found, Box]]:
    """Readings on a picture, each with the box of the label that bears its value.

    A label stands beside its place, where it covers least of what is there to be read: other readings and their places,
    numbers of claims, words of the picture itself.

    Args:
        panel: with a picture.
        unit: height of the letters.
    """
    read = [found for found in panel.readings if len(found.spot.box) == 4 and not found.words and not found.media_type]
    if not read:
        return []
    taken = [(found.spot.box, 4.0) for found in read]
    taken += [((x - 0.7 * unit, y - 0.7 * unit, 1.4 * unit, 1.4 * unit), 4.0) for _, (x, y) in badges(panel, unit)]
    taken += [(box, 1.0) for box in _words_of(panel.data) if panel.media_type == "image/svg+xml"]
    placed: list[tuple[Found, Box]] = []
    for found in read:
        size = unit * (LETTER * len(found.text) + 1.1), unit * 1.5
        best = min(_beside(panel, found.spot.box, size, unit), key=lambda box: _covers(box, taken))
        placed.append((found, best))
        taken.append((best, 8.0))
    return placed


def _beside(panel: Panel, spot: Box, size: Point, unit: float) -> Iterator[Box]:
    """Boxes of a size around a place, the nearest and most usual first; none of them leaves the picture."""
    (x, y, w, h), (width, height) = spot, size
    middle, centre = x + (w - width) / 2, y + (h - height) / 2
    for gap in (0.2 * unit, 1.2 * unit, 2.2 * unit):
        above, below, left, right = y - height - gap, y + h + gap, x - width - gap, x + w + gap
        for at in (
            (middle, above), (middle, below), (right, centre), (left, centre),
            (right, above), (left, above), (right, below), (left, below),
        ):  # fmt: skip
            yield (
                min(max(0.0, at[0]), max(0.0, panel.width - width)),
                min(max(0.0, at[1]), max(0.0, panel.height - height)),
                width,
                height,
            )


def _covers(box: Box, taken: Sequence[tuple[Box, float]]) -> float:
    """How much of what is taken a box would cover, by weight; nearly nothing is nothing."""
    return round(sum((weight * _overlap(box, other) for other, weight in taken), 0.0), 1)


@lru_cache(maxsize=64)
def _words_of(svg: str) -> tuple[Box, ...]:
    """About where a drawing has words; taken to have its middle where it is put, as labels do."""
    found = []
    for attributes, text in _TEXT.findall(svg):
        x, y, size = (each.search(f" {attributes}") for each in (_X, _Y, _SIZE))
        if x is None or y is None:
            continue
        high = float(size[1]) if size else SIZE
        half, at = LETTER * high * len(text.strip()) / 2, (float(x[1]), float(y[1]) - 0.36 * high)
        across, along = (high / 2, half) if "rotate(" in attributes else (half, high / 2)
        found.append((at[0] - across, at[1] - along, 2 * across, 2 * along))
    return tuple(found)


def badges(panel: Panel, unit: float) -> list[tuple[Said, Point]]:
    """Opened claims on a picture, each with the middle of its number: at the corner of its place where it covers least.

    Args:
        panel: with a picture.
        unit: height of the letters.
    """
    taken = [(box, 1.0) for box in _words_of(panel.data) if panel.media_type == "image/svg+xml"]
    placed: list[tuple[Said, Point]] = []
    for claim in panel.claims:
        if len(claim.box) != 4:
            continue
        x, y, w, h = claim.box
        out = 0.45 * unit
        corners = [
            (min(max(0.8 * unit, right), panel.width - unit), min(max(0.8 * unit, down), panel.height - unit))
            for step in range(len(placed) + 1)
            for down in (y - out, y + h + out)
            for right in (x - out - 1.5 * step * unit, x + w + out + 1.5 * step * unit)
        ]
        boxes = {at: (at[0] - 0.7 * unit, at[1] - 0.7 * unit, 1.4 * unit, 1.4 * unit) for at in corners}
        best = min(corners, key=lambda at: _covers(boxes[at], taken))
        placed.append((claim, best))
        taken.append((boxes[best], 8.0))
    return placed


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


def flat(panel: Panel, box: Box) -> str:
    """A place's box for the browser: left, top, width, height; a text's or clip's lie on a line."""
    edges = (box[0], 0.0, box[1] - box[0], 1.0) if panel.kind != "picture" and len(box) == 2 else box
    return " ".join(f"{edge:g}" for edge in edges)


def seconds(panel: Panel) -> float:
    """How long a clip's time line is: as its board says, else to the end of the last thing on it."""
    if panel.seconds:
        return panel.seconds
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
