"""A comparison as people see it: a board an output, instruments with places on it, and what helpers said.

A board shows what is free on an exhibit's face, or is the output itself, and nothing else: what an instrument reads is
in `Instrument.values`, `texts` or `pictures`, which the labelling server alone opens, a place at a time and against the
meter.
`pack` makes the bytes that a stored comparison carries for the server (`Comparison.fields`); `unpack` gives them back
as dictionaries and lists of the same names.

    >>> board = Board(kind="text", media_type="text/plain", data="Once upon a time", alt="a beginning")
    >>> lens = Instrument(name="word", label="Word", values=(4.0,), places=((0, "the first word", (0.0, 4.0)),))
    >>> side = ShownSide(board=board, instruments=(lens,))
    >>> unpack(pack(Shown(first=side, second=side)))["first"]["instruments"][0]["places"]
    [[0, 'the first word', [0.0, 4.0]]]
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import orjson
from jaxtyping import Float

from rewardtree.errors import TaskError

Box: TypeAlias = tuple[float, ...]
"""Left, top, width and height on a picture; from and to in a text (characters) or clip (seconds); else empty."""
Spot: TypeAlias = tuple[int, str, Box]
"""A place, what it is called, and where it is."""
NUMBERS = 4
"""Of a box on a picture; a stretch of text or time has half of them."""
DIGITS = 6
"""Significant digits of what instruments read."""
SLACK = 1e-6
"""By which a box may reach beyond its board: the rounding of its numbers."""
EFFORT = 3
"""Of zlib; more makes the bytes hardly fewer."""
PICTURES = ("image/webp", "video/webm")
"""Media types of what instruments show."""
EXTREME = 300
"""Powers of ten up to which numbers are rounded; zero, in effect, below."""
Part: TypeAlias = Literal["places", "values", "texts", "pictures"]
IN_JSON: tuple[Part, ...] = get_args(Part)
"""Parts of an instrument that `outline` leaves as they are packed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """What is seen of one output.

    Attributes:
        kind: what it is.
        media_type: `image/svg+xml`, `image/webp`, `text/plain` or `video/webm`.
        data: the SVG or the text itself; base64 of anything else.
        width, height: of a picture or clip, in the units of boxes; 0 for a text.
        alt: the board in words, for who cannot see it.
        facts: what else is seen for free, as pairs of words.
        seconds: how long a clip is, and with it its time line; 0 where the last of its places says it.
        plot: of a clip, an SVG that is drawn on the time line: its left end is the clip's beginning, its right end the
            end of its seconds.

    Raises:
        TaskError: kind and media type do not fit, a picture has no size, or what is no clip has a plot or seconds.
    """

    kind: Literal["picture", "text", "clip"]
    media_type: str
    data: str
    width: float = 0.0
    height: float = 0.0
    alt: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    plot: str = ""

    def __post_init__(self) -> None:
        kinds = {"picture": ("image/svg+xml", "image/webp"), "text": ("text/plain",), "clip": ("video/webm",)}
        if self.media_type not in kinds[self.kind]:
            raise TaskError(f"a board that is a {self.kind} is {' or '.join(kinds[self.kind])}, not {self.media_type}")
        if self.kind != "text" and not (self.width > 0 and self.height > 0):
            raise TaskError(f"a board that is a {self.kind} needs a width and a height; its boxes are in their units")
        if (self.plot or self.seconds) and self.kind != "clip":
            raise TaskError(f"a board that is a {self.kind} has no time line; leave out its plot and seconds")

    def holds(self, box: Box) -> bool:
        """Whether a box lies on the board; one of another kind of board is nowhere, and fits."""
        if len(box) != (NUMBERS if self.kind == "picture" else NUMBERS // 2):
            return True
        if self.kind == "picture":
            x, y, w, h = box
            fits = x >= -SLACK and y >= -SLACK and w >= 0 and h >= 0
            return fits and x + w <= self.width + SLACK and y + h <= self.height + SLACK
        end = float(len(self.data)) if self.kind == "text" else self.seconds + SLACK if self.seconds else math.inf
        return 0 <= box[0] <= box[1] <= end


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """An instrument, what it would read everywhere, and where it can be used.

    Attributes:
        name: as in `View.fields`.
        label: for people.
        unit: of what it reads.
        digits: decimals that people are shown.
        values: by place; None or nan where there is nothing to read. Never sent to a browser. A task that leaves them
            out has the field of the exhibit with this name.
        places: where it can be used.
        shared: whether it reads the input and not the output, so that a reading of one side holds on the other.
        texts: of an instrument that opens texts, the words at each of `places`, in their order, None where there are
            none; it needs no values. Never sent to a browser either.
        pictures: of an instrument that shows people a picture or clip where others read its values, base64 of one at
            each of `places`, None where there is none. Never sent to a browser before it is read either.
        media_type: of the pictures, `image/webp` or `video/webm`.

    Raises:
        TaskError: two places are one, one has no label, there are texts or pictures and not one a place, or pictures
            are of another type.
    """

    name: str
    label: str
    unit: str = ""
    digits: int = 2
    values: Sequence[float | None] | Float[np.ndarray, " places"] = ()
    places: tuple[Spot, ...] = ()
    shared: bool = False
    texts: tuple[str | None, ...] = ()
    pictures: tuple[str | None, ...] = ()
    media_type: str = ""

    def __post_init__(self) -> None:
        if self.pictures and (len(self.pictures) != len(self.places) or self.media_type not in PICTURES):
            raise TaskError(f"instrument {self.name}: give a picture for each place, or None, and their media type")
        if self.texts and len(self.texts) != len(self.places):
            raise TaskError(f"instrument {self.name}: give a text for each place, or None")
        if len({place for place, _, _ in self.places}) < len(self.places):
            raise TaskError(f"instrument {self.name}: give each place once, and a value for it")
        if not all(label and len(box) in (0, NUMBERS // 2, NUMBERS) for _, label, box in self.places):
            raise TaskError(f"instrument {self.name}: a place has a label, and a box of 4 numbers, 2 or none")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownClaim:
    """What one helper said of one output.

    Attributes:
        author: the helper.
        version: of its policy.
        quantity: what it is about.
        pointer: where it points and why, without a value.
        statement: the same with its value.
        place: that it points at.
        place_label: what that is called.
        box: where it is on the board; empty if nowhere.
        instrument: with which the claim can be checked, or None.
        reliability: of such claims, as measured, 0 to 1; None where it is not known.
    """

    author: str
    version: str
    quantity: str
    pointer: str
    statement: str
    place: int
    place_label: str = ""
    box: Box = ()
    instrument: str | None = None
    reliability: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownSide:
    """One output as people see it.

    Raises:
        TaskError: an instrument has no value for one of its places, a box is not on the board, or a claim is checked
            with an instrument that is not there.
    """

    board: Board
    instruments: tuple[Instrument, ...] = ()
    claims: tuple[ShownClaim, ...] = ()

    def __post_init__(self) -> None:
        for one in self.instruments:
            count = len(one.values)
            told = not one.texts and (count or not one.pictures)
            if told and not all(0 <= place < count for place, _, _ in one.places):
                raise TaskError(f"instrument {one.name}: give each place once, and a value for it")
            wrong = next((label for _, label, box in one.places if not self.board.holds(box)), None)
            if wrong is not None:
                raise TaskError(f"instrument {one.name}: {wrong} is not on the board; give boxes in its units")
        known = {one.name for one in self.instruments} | {None}
        for claim in self.claims:
            if not self.board.holds(claim.box) or claim.instrument not in known:
                raise TaskError(f"the claim on {claim.quantity} points off the board, or to no instrument")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A comparison as people see it, in its own order.

    Attributes:
        first, second: the outputs.
        question: for people; the comparison's own if empty.
        guide: what counts, in a few sentences.
    """

    first: ShownSide
    second: ShownSide
    question: str = ""
    guide: str = ""


def pack(shown: Shown) -> bytes:
    """The bytes that a stored comparison carries for the labelling server."""
    found: dict[str, Any] = {"question": shown.question, "guide": shown.guide}
    for name, side in (("first", shown.first), ("second", shown.second)):
        found[name] = _entries(side) | {"instruments": [_measured(one) for one in side.instruments]}
    return zlib.compress(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY), EFFORT)


def unpack(packed: bytes) -> dict[str, Any]:
    """What `pack` packed, as dictionaries and lists.

    Raises:
        TaskError: these are not its bytes.
    """
    found = outline(packed)
    for name in ("first", "second"):
        for each in found[name]["instruments"]:
            each |= {part: part_of(each, part) for part in IN_JSON}
    return found


def outline(packed: bytes) -> dict[str, Any]:
    """The same, but an instrument's places and values are still JSON; `part_of` opens one.

    An exhibit has thousands of places. Whoever shows a picture needs none of them, and many such lists kept at hand
    make the garbage collector stop everything for a tenth of a second.

    Raises:
        TaskError: these are not `pack`'s bytes.
    """
    try:
        found: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise TaskError(f"the exhibit of a comparison cannot be read ({error}); ask the comparison anew") from error
    return found


def part_of(instrument: Mapping[str, Any], part: Part) -> list[Any]:
    """An outline's instrument's places (number, label, box), its values by place, or texts or pictures in their order.

    What was packed before there were such has none.
    """
    found: list[Any] = orjson.loads(instrument.get(part, "[]"))
    return found


def words_at(instrument: Mapping[str, Any], place: int) -> str | None:
    """What an outline's instrument opens at a place; None where it reads values, or there is nothing to open."""
    return _at(instrument, "texts", place)


def picture_at(instrument: Mapping[str, Any], place: int) -> str | None:
    """Base64 of the picture or clip that an outline's instrument shows at a place; None where it shows none."""
    return _at(instrument, "pictures", place)


def _at(instrument: Mapping[str, Any], part: Part, place: int) -> str | None:
    found = zip(part_of(instrument, "places"), part_of(instrument, part), strict=False)
    return next((one for spot, one in found if spot[0] == place), None)


def _entries(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _measured(instrument: Instrument) -> dict[str, Any]:
    """The instrument with values of so many digits; what is no number becomes null in JSON."""
    values = np.asarray(instrument.values, dtype=float)
    known = np.isfinite(values) & (values != 0)
    size = np.floor(np.log10(np.abs(np.where(known, values, 1.0))))
    power = np.clip(DIGITS - 1 - size, -EXTREME, EXTREME)
    up, down = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
    rounded = np.round(np.where(known, values, 0.0) * up / down) / up * down
    entries = _entries(instrument) | {"values": np.where(np.isfinite(values), rounded, np.nan)}
    return entries | {p: orjson.dumps(entries[p], option=orjson.OPT_SERIALIZE_NUMPY).decode() for p in IN_JSON}
