"""Comparisons as prompts: what an exhibit shows, in the words that people get, and what can be read of it.

Nothing here opens an instrument: the words are those of boards and claims, and of readings that were granted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rewardtree.errors import TaskError
from rewardtree.language.completing import Message, Prompt
from rewardtree.tasks.board import Instrument, ShownClaim, ShownSide, Spot
from rewardtree.tasks.favouring import Favoured

View = Literal["places", "evidence", "verdicts"]
LISTED = 64
"""Places of an instrument up to which all are listed; of more the first and the last."""
ENDS = 3
NOTHING = "nothing to be read there"
LOOKING = """Before you decide you may look: at most {budget} readings, for both outputs together. To look, reply with \
nothing but lines such as
READ A {name} {place}
each of which is one reading: the output's letter, the instrument, the place by its number or its name. What you read \
comes back, and you may read on. When you have seen enough, reply with the single word DONE."""
DECIDING = """Which output is better, A or B? Give your reason in at most three sentences. Then end with a line of its \
own: VERDICT: A or VERDICT: B, or VERDICT: TIE if you can't tell."""
SYSTEM = "You compare two outputs, A and B. What stands first is no better for that; nor is what is longer."


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A reading that was granted: of the side 0 or 1, and in words."""

    side: int
    instrument: str
    place: str
    value: str
    shared: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One comparison in words.

    Attributes:
        question, guide: of the task.
        sides: both outputs as people see them.
        view: how claims are shown.
        verdicts: what claims favour, for that view.
        trust: reliability of claims by quantity.
        quantities: whose claims are shown.
        budget: readings; None for no limit.
    """

    question: str
    guide: str
    sides: tuple[ShownSide, ShownSide]
    view: View = "evidence"
    verdicts: Mapping[str, Favoured] = field(default_factory=dict)
    trust: Mapping[str, float] = field(default_factory=dict)
    quantities: frozenset[str] = frozenset()
    budget: int | None = 0

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """That can be used on one side or both."""
        found = {one.name: one for side in reversed(self.sides) for one in side.instruments if one.places}
        return tuple(found.values())

    @property
    def claims(self) -> int:
        """Claims that are shown, on both sides."""
        return sum(claim.quantity in self.quantities for side in self.sides for claim in side.claims)

    def looking(self, swapped: bool) -> Prompt:
        """The first prompt: what is free, and how to read."""
        tool = self.instruments[0]
        budget = "any number of" if self.budget is None else self.budget
        rules = LOOKING.format(budget=budget, name=tool.name, place=tool.places[0][0])
        return self._prompt(swapped, [self._tools(), rules])

    def deciding(self, swapped: bool, readings: Sequence[Reading]) -> Prompt:
        """The last prompt: the same with what was read."""
        told = ["What was read:\n" + "\n".join(f"- {said(one, swapped)}" for one in readings)] if readings else []
        return self._prompt(swapped, [*told, DECIDING])

    def _prompt(self, swapped: bool, rest: list[str]) -> Prompt:
        order = (1, 0) if swapped else (0, 1)
        parts = [
            self.question,
            self.guide,
            *(self._side(side, letter) for side, letter in zip(order, "AB", strict=True)),
        ]
        if self.view == "verdicts" and self.verdicts:
            parts.append("\n".join(["The helpers' verdicts:", *self._favoured(order)]))
        words = "\n\n".join(part for part in [*parts, *rest] if part)
        return Message(role="system", content=SYSTEM), Message(role="user", content=words)

    def _side(self, side: int, letter: str) -> str:
        board = self.sides[side].board
        words = board.data if board.kind == "text" else board.alt
        if not words:
            raise TaskError(f"a board for {self.question!r} says nothing in words; give its `alt`")
        lines = [f"Output {letter}:", words, *(f"{name}: {what}" for name, what in board.facts)]
        claims = [one for one in self.sides[side].claims if one.quantity in self.quantities]
        if claims and self.view != "verdicts":
            lines += [f"Helpers' claims about {letter}, which may be wrong:"]
            lines += [f"- {self._claim(one, letter)}" for one in claims]
        return "\n".join(lines)

    def _claim(self, claim: ShownClaim, letter: str) -> str:
        words = claim.pointer if self.view == "places" else claim.statement
        notes = (
            [f"to check: READ {letter} {claim.instrument} {claim.place}"] if claim.instrument and self.budget else []
        )
        if claim.quantity in self.trust and claim.instrument:
            notes.append(f"reliability {self.trust[claim.quantity]:.0%}")
        return f"{claim.quantity} ({claim.author}): {words}" + (f" [{'; '.join(notes)}]" if notes else "")

    def _favoured(self, order: tuple[int, int]) -> list[str]:
        letters = {("first", "second")[side]: letter for side, letter in zip(order, "AB", strict=True)}
        return [f"- {name}: {letters.get(what, 'neither')}" for name, what in self.verdicts.items()]

    def _tools(self) -> str:
        lines = ["Instruments, and the places where they can be used:"]
        for one in self.instruments:
            unit = f", in {one.unit}" if one.unit else ""
            lines.append(f"- {one.name} ({one.label}{unit}): {_places(one.places)}")
        return "\n".join(lines)


def _places(spots: Sequence[Spot]) -> str:
    def named(some: Sequence[Spot]) -> str:
        return ", ".join(str(place) if label == str(place) else f"{place} = {label}" for place, label, _ in some)

    if len(spots) <= LISTED:
        return named(spots)
    return f"{named(spots[:ENDS])} and so on to {named(spots[-ENDS:])}"


def said(reading: Reading, swapped: bool) -> str:
    """A reading in words, with the letter that its output has in this order."""
    letter = "AB"[reading.side ^ swapped]
    where = "of both" if reading.shared else f"of {letter}"
    return f"{reading.instrument} at {reading.place} {where}: {reading.value}"


def value_of(tool: Instrument, place: int) -> str:
    """What an instrument holds at a place, in words; for who was granted it. A text is put in one line."""
    if tool.texts:
        words = next(text for text, spot in zip(tool.texts, tool.places, strict=True) if spot[0] == place)
        return f"\u201c{' '.join(words.split())}\u201d" if words else NOTHING
    value = tool.values[place]
    if value is None or value != value:
        return NOTHING
    return f"{float(value):.{tool.digits}f} {tool.unit}".strip()


def spot_of(tool: Instrument, named: str) -> Spot | None:
    """The place that somebody names by its number, its name or the only beginning of one; None where there is none."""
    wanted = named.strip().strip("\"'`").casefold()
    exact = [spot for spot in tool.places if wanted in (str(spot[0]), spot[1].casefold())]
    begun = [spot for spot in tool.places if spot[1].casefold().startswith(f"{wanted} ")]
    found = exact or (begun if len(begun) == 1 else [])
    return found[0] if found else None


def answered(prompt: Prompt, reply: str, words: str) -> Prompt:
    """The conversation with one more turn of each."""
    return (*prompt, replace(prompt[-1], role="assistant", content=reply), replace(prompt[-1], content=words))
