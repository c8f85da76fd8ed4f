"""What a labeller is shown of a comparison, and nothing more.

The two outputs are called A (left, or above on a narrow screen) and B. Which of the comparison's own first and second
is A was drawn with the lease, so neither a page nor an address says which is which. Instruments' values stay
here: a panel has those that were read. A claim's words are there once it was opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rewardtree.preferences.labelling import Choice, Reading, Work
from rewardtree.preferences.values import PEOPLE
from rewardtree.tasks.board import part_of, picture_at, words_at
from rewardtree.web.exhibits import unpacked

Letter: TypeAlias = Literal["a", "b"]
Shown: TypeAlias = Literal["a", "slightly_a", "tie", "slightly_b", "b", "cannot_tell"]
Own: TypeAlias = Literal["first", "second"]
Box: TypeAlias = tuple[float, ...]

SHOWN: tuple[Shown, ...] = get_args(Shown)
LETTERS: tuple[Letter, ...] = get_args(Letter)
VIEWS = ("places", "evidence", "verdicts")

_OWN: Mapping[Shown, Choice] = {
    "a": "first",
    "slightly_a": "slightly_first",
    "tie": "tie",
    "slightly_b": "slightly_second",
    "b": "second",
    "cannot_tell": "cannot_tell",
}
_MIRRORED: Mapping[Shown, Shown] = {"a": "b", "slightly_a": "slightly_b", "slightly_b": "slightly_a", "b": "a"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A place that an instrument can be used at.

    Attributes:
        place: its number.
        label: what it is called.
        box: left, top, width, height on a picture; start, end in a text (characters) or clip (seconds); empty
            where it is nowhere on the board.
    """

    place: int
    label: str
    box: Box


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """An instrument.

    Attributes:
        name: of the instrument.
        label: its name for people.
        unit: of what it reads, may be empty.
    """

    name: str
    label: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A reading that was paid for.

    Attributes:
        number: 1 for the first of the comparison.
        side: where it was read, `a` or `b`; a reading that holds on both stands on both.
        tool: the instrument's label.
        spot: where it was read.
        text: the value with its unit, the words that stand there, or that a picture or clip is shown.
        value: the value; None where there is nothing to read at this place, and where it is words or a picture.
        words: whether the text is words.
        media_type: of the picture or clip that was shown; empty where none was.
    """

    number: int
    side: Letter
    tool: str
    spot: Spot
    text: str
    value: float | None
    words: bool = False
    media_type: str = ""

    @property
    def sentence(self) -> str:
        """For the list of readings and for screen readers."""
        return f"{self.tool} at {self.spot.label}: {self.text}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A helper's claim.

    Attributes:
        number: its position among the claims on A, then on B, from 0.
        side: the output that it is about.
        author: the helper.
        quantity: what it is about.
        opened: whether the labeller has opened it.
        statement: its words as the view asks for; empty until it was opened.
        where: its place in words; empty until it was opened.
        box: its place on the board, as in `Spot`; empty until it was opened.
        favours: in the view `verdicts`, the output that the helper's claims favour, or `neither`; else None.
        reliability: how far such claims agreed with readings where they were checked, 0 to 1, if it is known and may
            be shown: of numbers their squared correlation, of names the share that was right.
    """

    number: int
    side: Letter
    author: str
    quantity: str
    opened: bool
    statement: str
    where: str
    box: Box
    favours: Literal["a", "b", "neither"] | None
    reliability: float | None

    @property
    def sentence(self) -> str:
        """For screen readers, once it was opened."""
        where = f" Marked: {self.where}." if self.where else ""
        return f"{self.author}, on {self.side.upper()}: {self.statement}.{where}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One of the two outputs.

    Attributes:
        side: `a` or `b`.
        kind: of the board: `picture`, `text` or `clip`.
        media_type: of the board's data.
        data: the board itself: SVG or text as it is, else base64.
        width: of the board's coordinate system, 0 for a text.
        height: of the board's coordinate system, 0 for a text.
        alt: what the board shows, in words.
        facts: what is visible for free, as pairs of words.
        spots: places of every instrument, by its name.
        claims: what helpers said of this output; empty where claims are not shown.
        readings: what was read of this output.
        seconds: of a clip, where its board says it; else 0.
        plot: whether a plot is drawn on a clip's time line.
    """

    side: Letter
    kind: str
    media_type: str
    data: str
    width: float
    height: float
    alt: str
    facts: tuple[tuple[str, str], ...]
    spots: Mapping[str, tuple[Spot, ...]]
    claims: tuple[Said, ...]
    readings: tuple[Found, ...]
    seconds: float = 0.0
    plot: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A comparison as a labeller sees it.

    Attributes:
        token: of the lease.
        question: which of the two is meant to be found.
        guide: what counts, may be empty.
        mode: `assisted`, `unaided` or `revise`.
        stage: `answer`, or `revise` once the unaided answer is given.
        before: the first of two answers, once it is given.
        shows_claims: whether claims are shown at this stage.
        budget: readings of both outputs together.
        left: readings that are left.
        tools: the instruments.
        panels: A and B.
        draft: what was kept of an answer that was begun.
    """

    token: str
    question: str
    guide: str
    mode: str
    stage: Literal["answer", "revise"]
    before: Shown | None
    shows_claims: bool
    budget: int
    left: int
    tools: tuple[Tool, ...]
    panels: tuple[Panel, Panel]
    draft: Mapping[str, Any]

    def panel(self, side: Letter) -> Panel:
        """The panel of a side."""
        return self.panels[LETTERS.index(side)]

    def has(self, side: Letter, instrument: str, place: int) -> bool:
        """Whether an instrument can be used at a place."""
        return any(spot.place == place for spot in self.panel(side).spots.get(instrument, ()))

    @property
    def chosen(self) -> Tool | None:
        """The instrument that was taken up, if any was."""
        return next((tool for tool in self.tools if tool.name == self.draft.get("instrument")), None)

    @property
    def claims(self) -> tuple[Said, ...]:
        """All claims, A's before B's."""
        return self.panels[0].claims + self.panels[1].claims

    @property
    def readings(self) -> tuple[Found, ...]:
        """All readings in the order in which they were made; one that holds on both sides once."""
        found = {reading.number: reading for panel in self.panels for reading in panel.readings}
        return tuple(found[number] for number in sorted(found))


def own_choice(shown: Shown, swapped: bool) -> Choice:
    """An answer about A and B in the comparison's own order."""
    return _OWN[_MIRRORED.get(shown, shown) if swapped else shown]


def shown_choice(own: Choice, swapped: bool) -> Shown:
    """An answer in the comparison's own order, about A and B."""
    return next(shown for shown in SHOWN if own_choice(shown, swapped) == own)


def own_side(side: Letter, swapped: bool) -> Own:
    """The comparison's own name of A or B."""
    return "first" if (side == "a") != swapped else "second"


def shown_side(side: Own, swapped: bool) -> Letter:
    """A or B for the comparison's own first or second."""
    return "a" if (side == "first") != swapped else "b"


def show(work: Work, *, reliability: bool) -> Sheet:
    """Makes what a labeller is shown of a comparison.

    Args:
        work: the labeller's lease.
        reliability: whether helpers' measured reliability may be shown.
    """
    shown = unpacked(work)
    panels, at = [], 0
    for side in LETTERS:
        own = own_side(side, work.swapped)
        claims = _claims(work, shown, side, at, reliability) if work.shows_claims else ()
        at += len(claims)
        panels.append(_panel(work, shown[own], side, claims))
    return Sheet(
        token=work.token,
        question=shown.get("question") or work.comparison.question,
        guide=shown.get("guide") or "",
        mode=work.mode,
        stage=work.stage,
        before=None if work.before is None else shown_choice(work.before, work.swapped),
        shows_claims=work.shows_claims,
        budget=work.comparison.budget,
        left=work.left,
        tools=_tools(shown),
        panels=(panels[0], panels[1]),
        draft=work.draft,
    )


def own_claim(work: Work, number: int) -> int:
    """The comparison's own position of the claim that is shown with `number`."""
    shown = unpacked(work)
    if not work.swapped:
        return number
    above = len(shown["second"]["claims"])
    return number - above if number >= above else len(shown["first"]["claims"]) + number


class _Spots(Mapping[str, tuple[Spot, ...]]):
    """Places by instrument, made when they are asked for: most pages show those of one instrument, or of none."""

    def __init__(self, instruments: Sequence[Mapping[str, Any]]) -> None:
        self._packed = {each["name"]: each for each in instruments}
        self._made: dict[str, tuple[Spot, ...]] = {}

    def __getitem__(self, name: str) -> tuple[Spot, ...]:
        if name not in self._made:
            self._made[name] = tuple(
                Spot(place=place, label=label, box=_box(box))
                for place, label, box in part_of(self._packed[name], "places")
            )
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _tools(shown: Mapping[str, Any]) -> tuple[Tool, ...]:
    known = {
        each["name"]: Tool(name=each["name"], label=each["label"], unit=each.get("unit") or "")
        for own in ("first", "second")
        for each in shown[own]["instruments"]
    }
    return tuple(known.values())


def _panel(work: Work, shown: Mapping[str, Any], side: Letter, claims: tuple[Said, ...]) -> Panel:
    board = shown["board"]
    spots = _Spots(shown["instruments"])
    own = own_side(side, work.swapped)
    both = {each["name"] for each in shown["instruments"] if each.get("shared")}
    readings = (_found(r, shown, work.swapped, spots) for r in work.readings if r.side == own or r.instrument in both)
    return Panel(
        side=side,
        kind=board["kind"],
        media_type=board["media_type"],
        data=board["data"],
        width=float(board.get("width") or 0),
        height=float(board.get("height") or 0),
        seconds=float(board.get("seconds") or 0),
        plot=bool(board.get("plot")),
        alt=board.get("alt") or "",
        facts=tuple((str(name), str(value)) for name, value in board.get("facts") or ()),
        spots=spots,
        claims=claims,
        readings=tuple(readings),
    )


def _found(reading: Reading, shown: Mapping[str, Any], mirrored: bool, spots: Mapping[str, tuple[Spot, ...]]) -> Found:
    tool = next(each for each in shown["instruments"] if each["name"] == reading.instrument)
    nowhere = Spot(place=reading.place, label=f"place {reading.place}", box=())
    spot = next((spot for spot in spots[reading.instrument] if spot.place == reading.place), nowhere)
    words = words_at(tool, reading.place)
    media_type = str(tool.get("media_type") or "") if picture_at(tool, reading.place) else ""
    text = words or ("shown" if media_type else "nothing to read here")
    if reading.value is not None:
        number = f"{reading.value:.{int(tool.get('digits', 1))}f}".replace("-", "\N{MINUS SIGN}")
        text = f"{number} {tool.get('unit') or ''}".strip()
    side = shown_side(reading.side, mirrored)
    return Found(
        number=reading.number, side=side, tool=tool["label"], spot=spot, text=text, value=reading.value,
        words=words is not None, media_type=media_type,
    )  # fmt: skip


def _claims(work: Work, shown: Mapping[str, Any], side: Letter, start: int, rated: bool) -> tuple[Said, ...]:
    people = work.comparison.payload.get(PEOPLE, {})
    view = people.get("view", "evidence")
    own = own_side(side, work.swapped)
    before = len(shown["first"]["claims"]) if own == "second" else 0
    verdicts = people.get("verdicts") or {}
    found = []
    for index, each in enumerate(shown[own]["claims"]):
        opened = before + index in work.opened
        verdict = verdicts.get(each["quantity"]) if view == "verdicts" and opened else None
        if verdict in ("first", "second"):
            verdict = shown_side(verdict, work.swapped)
        found.append(
            Said(
                number=start + index,
                side=side,
                author=each["author"],
                quantity=each["quantity"],
                opened=opened,
                statement=each["pointer" if view == "places" else "statement"] if opened else "",
                where=(each.get("place_label") or "") if opened else "",
                box=_box(each.get("box")) if opened else (),
                favours=verdict,
                reliability=each.get("reliability") if rated else None,
            )
        )
    return tuple(found)


def _box(box: Any) -> Box:
    return tuple(float(edge) for edge in box or ())
