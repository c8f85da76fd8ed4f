"""What the JSON interface takes and gives."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rewardtree.web.answering import LONGEST
from rewardtree.web.display import Found, Letter, Panel, Said, Sheet, Shown, Spot

Box = Annotated[
    list[float],
    Field(
        description="Left, top, width, height on a picture; start and end in a text (characters) or clip (seconds); "
        "empty where it is nowhere on the board."
    ),
]
Text = Annotated[str, Field(max_length=LONGEST)]


class Model(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class Problem(Model):
    """Why something was refused."""

    detail: str = Field(description="One sentence.")


class SignIn(Model):
    """Who signs in."""

    name: str = Field(max_length=200, examples=["ada"])
    password: str = Field(max_length=1000)


class Token(Model):
    """An open session."""

    token: str = Field(description="To be sent with every request: Authorization: Bearer TOKEN.")
    name: str
    role: Literal["labeller", "researcher"]
    expires_at: float = Field(description="Seconds since 1970.")


class Place(Model):
    """A place at which an instrument can be used."""

    place: int
    label: str
    box: Box

    @classmethod
    def of(cls, spot: Spot) -> "Place":
        """The place as JSON."""
        return cls(place=spot.place, label=spot.label, box=list(spot.box))


class Instrument(Model):
    """An instrument. What it would read is not told before it is used."""

    name: str
    label: str
    unit: str


class ReadingOut(Model):
    """A reading that was taken off the meter."""

    number: int = Field(description="1 for the first of the comparison.")
    side: Letter
    instrument: str = Field(description="The instrument's label.")
    at: Place
    value: float | None = Field(description="None where there is nothing to read at this place, or words stand there.")
    text: str = Field(description="The value with its unit, or the words.")
    shown: str | None = Field(description="Address of the picture or clip that was shown, if one was.")

    @classmethod
    def of(cls, found: Found, token: str) -> "ReadingOut":
        """The reading as JSON."""
        return cls(
            shown=f"/api/work/{token}/readings/{found.number}" if found.media_type else None,
            number=found.number,
            side=found.side,
            instrument=found.tool,
            at=Place.of(found.spot),
            value=found.value,
            text=found.text,
        )


class Claim(Model):
    """What a helper said of an output; its words are there once it was opened."""

    number: int = Field(description="By which it is opened.")
    side: Letter
    author: str
    quantity: str
    opened: bool
    statement: str | None
    where: str | None = Field(description="Its place in words.")
    box: Box
    favours: Literal["a", "b", "neither"] | None = Field(description="In the view `verdicts`, once it was opened.")
    reliability: float | None = Field(description="How often this helper was measured to be right, if that is shown.")

    @classmethod
    def of(cls, said: Said) -> "Claim":
        """The claim as JSON."""
        return cls(
            number=said.number,
            side=said.side,
            author=said.author,
            quantity=said.quantity,
            opened=said.opened,
            statement=said.statement if said.opened else None,
            where=said.where or None,
            box=list(said.box),
            favours=said.favours,
            reliability=said.reliability,
        )


class Output(Model):
    """One of the two outputs."""

    side: Letter
    kind: str = Field(description="`picture`, `text` or `clip`.")
    media_type: str
    text: str | None = Field(description="The text, where the output is one.")
    board: str | None = Field(description="Address of the picture or clip, where the output is one.")
    width: float = Field(description="Of the coordinate system of boxes.")
    height: float
    seconds: float = Field(description="Of a clip's time line; 0 where only its places say how long it is.")
    plot: str | None = Field(description="Address of what is drawn on a clip's time line, if anything is.")
    alt: str = Field(description="What is to be seen, in words.")
    facts: list[tuple[str, str]] = Field(description="What is visible for free.")
    places: dict[str, list[Place]] = Field(description="By instrument.")
    claims: list[Claim]
    readings: list[ReadingOut]

    @classmethod
    def of(cls, panel: Panel, token: str) -> "Output":
        """The output as JSON."""
        text = panel.kind == "text"
        return cls(
            side=panel.side,
            kind=panel.kind,
            media_type=panel.media_type,
            text=panel.data if text else None,
            board=None if text else f"/api/work/{token}/boards/{panel.side}",
            width=panel.width,
            height=panel.height,
            seconds=panel.seconds,
            plot=f"/api/work/{token}/boards/{panel.side}/plot" if panel.plot else None,
            alt=panel.alt,
            facts=list(panel.facts),
            places={name: [Place.of(spot) for spot in spots] for name, spots in panel.spots.items()},
            claims=[Claim.of(said) for said in panel.claims],
            readings=[ReadingOut.of(found, token) for found in panel.readings],
        )


class Draft(Model):
    """An answer that was begun."""

    rationale: Text = ""
    instrument: str = Field("", max_length=200, description="Name of the instrument that was chosen last.")


class WorkOut(Model):
    """A comparison on lease: two outputs in an order drawn by chance."""

    token: str = Field(description="Of the lease.")
    question: str
    guide: str = Field(description="What counts; may be empty.")
    mode: str = Field(description="`assisted`, `unaided` or `revise`: unaided first, then with claims.")
    stage: Literal["answer", "revise"] = Field(description="`revise` once the unaided answer is given.")
    shows_claims: bool
    budget: int = Field(description="Readings of both outputs together.")
    left: int = Field(description="Readings that are left.")
    instruments: list[Instrument]
    a: Output
    b: Output
    draft: Draft

    @classmethod
    def of(cls, sheet: Sheet) -> "WorkOut":
        """The comparison as JSON."""
        return cls(
            token=sheet.token,
            question=sheet.question,
            guide=sheet.guide,
            mode=sheet.mode,
            stage=sheet.stage,
            shows_claims=sheet.shows_claims,
            budget=sheet.budget,
            left=sheet.left,
            instruments=[Instrument(name=tool.name, label=tool.label, unit=tool.unit) for tool in sheet.tools],
            a=Output.of(sheet.panel("a"), sheet.token),
            b=Output.of(sheet.panel("b"), sheet.token),
            draft=Draft(
                rationale=str(sheet.draft.get("rationale", "")), instrument=str(sheet.draft.get("instrument", ""))
            ),
        )


class Next(Model):
    """What is this labeller's to answer now."""

    work: WorkOut | None = Field(description="None where nothing waits.")


class Read(Model):
    """One use of an instrument."""

    side: Letter
    instrument: str = Field(max_length=200)
    place: int = Field(ge=0, le=2**31 - 1)


class Open(Model):
    """Which claim is opened."""

    claim: int = Field(ge=0, le=2**31 - 1)


class Answer(Model):
    """An answer about A and B."""

    choice: Shown
    stage: Literal["answer", "revise"] = Field(
        description="The stage that this answers, as `stage` says; so that a request sent twice is one answer."
    )
    rationale: Text = ""


class Stored(Model):
    """What became of an answer."""

    stored: bool = Field(description="False if this was answered before; then nothing was changed.")


class Broken(Model):
    """What is broken."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST)]


class ProgressOut(Model):
    """How far a labeller is."""

    answered: int
    today: int = Field(description="In the last 24 hours.")
    waiting: int = Field(description="Comparisons that wait for anybody.")
    elsewhere: int = Field(description="Comparisons that other labellers have open.")
