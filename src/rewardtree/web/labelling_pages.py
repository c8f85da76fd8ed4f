"""Comparing: the page where outputs are looked at, read, and judged.

Every action is a form. With htmx its answer is put into the open page; without JavaScript the browser is sent back to
the page, where the same state is shown, because all of it is in the store.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.responses import Response

from rewardtree.errors import BudgetError, LeaseError
from rewardtree.preferences.labelling import Work
from rewardtree.preferences.working import Stage
from rewardtree.web.access import Ours, Visit, Visitor
from rewardtree.web.answering import LONGEST, cleaned, give, give_and_go_on, sentence
from rewardtree.web.display import Letter, Sheet, Shown, own_claim, own_side, show
from rewardtree.web.rendering import go, page, wants_part

CLOSED = "That comparison is closed: it was answered, or its time ran out."

router = APIRouter()

Token = Annotated[str, Form(max_length=100)]
Words = Annotated[str, Form(max_length=LONGEST)]


@router.get("/")
def compare(visit: Visitor, lit: int | None = None, elsewhere: int | None = None) -> Response:
    """The comparison that is this labeller's now, or word that none waits.

    A page on which none waits looks again by itself, and says how many it tells to be with others.
    """
    work = visit.site.labelling.next(visit.name)
    if work is None and wants_part(visit.request):
        same = elsewhere == visit.site.labelling.progress(visit.name).elsewhere
        return Response(status_code=204) if same else _shown(visit, None)
    return _shown(visit, work, lit=lit, fresh=True)


@router.post("/instrument")
def choose(
    visit: Ours,
    token: Token,
    instrument: Annotated[str, Form(max_length=200)] = "",
    rationale: Annotated[str | None, Form(max_length=LONGEST)] = None,
) -> Response:
    """Takes an instrument up, or lays it down."""
    work = _work(visit, token)
    if work is None:
        return _closed(visit)
    tools = {tool.name: tool for tool in _sheet(visit, work).tools}
    if instrument not in tools:
        return _shown(visit, work, refused="There is no such instrument here.", status=422)
    chosen = "" if instrument == work.draft.get("instrument") else instrument
    work = _keep(visit, work, instrument=chosen, rationale=rationale)
    if not wants_part(visit.request):
        return go(visit.request, "/")
    say = f"{tools[chosen].label}: choose a place on A or B." if chosen else "No instrument."
    return _shown(visit, work, say=say)


@router.post("/read")
def read(
    visit: Ours,
    token: Token,
    side: Annotated[Letter, Form()],
    instrument: Annotated[str, Form(max_length=200)],
    place: Annotated[int, Form()],
) -> Response:
    """Uses an instrument at a place."""
    work = _work(visit, token)
    if work is None:
        return _closed(visit)
    if not _sheet(visit, work).has(side, instrument, place):
        return _shown(visit, work, refused="There is no such place to read.", status=422)
    try:
        work = visit.site.labelling.read(visit.name, token, own_side(side, work.swapped), instrument, place)
    except BudgetError as error:
        return _shown(visit, work, refused=sentence(error), status=_conflict(visit))
    if not wants_part(visit.request):
        return go(visit.request, "/")
    return _shown(visit, work, say=_sheet(visit, work).readings[-1].sentence)


@router.post("/claim")
def open_claims(visit: Ours, token: Token, claim: Annotated[str, Form(max_length=10)]) -> Response:
    """Opens a claim, or all of them; which were opened is kept with the answer."""
    work = _work(visit, token)
    if work is None:
        return _closed(visit)
    sheet = _sheet(visit, work)
    wanted = [said.number for said in sheet.claims if claim in ("all", str(said.number))]
    if not wanted:
        return _shown(visit, work, refused="There is no such claim here.", status=422)
    for number in wanted:
        if not sheet.claims[number].opened:
            visit.site.labelling.open_claim(visit.name, token, own_claim(work, number))
    work = visit.site.labelling.work(visit.name, token)
    lit = wanted[0] if len(wanted) == 1 else None
    if not wants_part(visit.request):
        return go(visit.request, "/" if lit is None else f"/?lit={lit}")
    opened = _sheet(visit, work).claims
    return _shown(visit, work, say=" ".join(opened[number].sentence for number in wanted), lit=lit)


@router.post("/draft")
def draft(visit: Ours, token: Token, rationale: Words = "") -> Response:
    """Keeps what was written so far."""
    work = _work(visit, token)
    if work is not None:
        _keep(visit, work, rationale=rationale)
    return Response(status_code=204 if work is not None else 409)


@router.post("/answer")
def answer(
    visit: Ours,
    token: Token,
    choice: Annotated[Shown, Form()],
    stage: Annotated[Stage | None, Form()] = None,
    rationale: Words = "",
) -> Response:
    """Stores an answer and gives the next comparison, or the same one for a revised answer."""
    try:
        if not wants_part(visit.request):
            give(visit, token, choice, stage, cleaned(rationale))
            return go(visit.request, "/")
        stored, work = give_and_go_on(visit, token, choice, stage, cleaned(rationale))
    except LeaseError:
        return _closed(visit)
    return _shown(visit, work, say="Stored." if stored else "This was stored already.", fresh=True)


@router.post("/report")
def report(
    visit: Ours,
    token: Token,
    reason: Annotated[str, Form(max_length=100)] = "",
    text: Words = "",
) -> Response:
    """Sets a broken comparison aside."""
    words = ": ".join(part for part in (cleaned(reason), cleaned(text)) if part)
    work = _work(visit, token)
    if work is None:
        return _closed(visit)
    if not words:
        return _shown(visit, work, refused="Say what is broken.", status=422)
    visit.site.labelling.report(visit.name, token, words)
    return _next(visit, say="Reported, and set aside.")


@router.post("/undo")
def undo(visit: Ours) -> Response:
    """Takes the last answer back and shows its comparison again."""
    work = visit.site.labelling.undo(visit.name)
    if work is None:
        work = visit.site.labelling.next(visit.name)
        return _shown(visit, work, refused="There is no answer to take back.", status=_conflict(visit))
    if not wants_part(visit.request):
        return go(visit.request, "/")
    return _shown(visit, work, say="Your last answer was taken back.", fresh=True)


def _work(visit: Visit, token: str) -> Work | None:
    """The labeller's lease, or None where it is over or somebody else's."""
    try:
        return visit.site.labelling.work(visit.name, token)
    except LeaseError:
        return None


def _sheet(visit: Visit, work: Work) -> Sheet:
    return show(work, reliability=visit.site.show_reliability)


def _keep(visit: Visit, work: Work, **changes: str | None) -> Work:
    """Keeps a draft with changes; None leaves what was."""
    kept = {name: cleaned(value) for name, value in changes.items() if value is not None}
    visit.site.labelling.save_draft(visit.name, work.token, {**work.draft, **kept})
    return visit.site.labelling.work(visit.name, work.token)


def _conflict(visit: Visit) -> int:
    """Status of a refusal that belongs to labelling, such as that of a meter which is used up.

    In the open page it is shown as any other answer is; with 409 the browser would report a failure to its console.
    """
    return 200 if wants_part(visit.request) else 409


def _closed(visit: Visit) -> Response:
    work = visit.site.labelling.next(visit.name)
    return _shown(visit, work, refused=CLOSED, status=409, fresh=True)


def _next(visit: Visit, say: str) -> Response:
    if not wants_part(visit.request):
        return go(visit.request, "/")
    return _shown(visit, visit.site.labelling.next(visit.name), say=say, fresh=True)


def _shown(
    visit: Visit,
    work: Work | None,
    *,
    status: int = 200,
    say: str = "",
    refused: str = "",
    lit: int | None = None,
    fresh: bool = False,
) -> Response:
    """The page with a comparison, or with word that none waits.

    Args:
        visit: who is signed in.
        work: what is shown.
        status: of the answer.
        say: what a screen reader is told.
        refused: what was refused and why.
        lit: the claim whose place is lit.
        fresh: whether another comparison than before is shown, so that the focus goes to its heading.
    """
    filled: dict[str, Any] = {"say": say, "refused": refused, "lit": lit, "fresh": fresh}
    filled["progress"] = visit.site.labelling.progress(visit.name)
    filled["sheet"] = None if work is None else _sheet(visit, work)
    template = "_work.html" if wants_part(visit.request) else "work.html"
    return page(visit.request, template, visit=visit, status=status, **filled)
