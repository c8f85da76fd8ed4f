"""The JSON interface, for other front ends: what the page can do, a program can.

Described by OpenAPI at /api/openapi.json, for those who are signed in. A session opened here comes with a token to be
sent as `Authorization: Bearer TOKEN`. A browser's cookie works too; a request that changes something then needs
the header X-CSRF-Token.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rewardtree.errors import AccountError, BudgetError, LeaseError
from rewardtree.preferences.labelling import Work
from rewardtree.web import access
from rewardtree.web.access import OursByHeader, Researcher, Visit, Visitor
from rewardtree.web.answering import cleaned, give, sentence
from rewardtree.web.api_models import (
    Answer,
    Broken,
    Draft,
    Next,
    Open,
    Problem,
    ProgressOut,
    Read,
    SignIn,
    Stored,
    Token,
    WorkOut,
)
from rewardtree.web.boards import serve_board, serve_plot, serve_shown
from rewardtree.web.display import Letter, Sheet, own_claim, own_side, show
from rewardtree.web.research_pages import answers_file

router = APIRouter(prefix="/api", tags=["labelling"])

Lease = Annotated[str, Path(max_length=100, description="Token of the lease.")]
Number = Annotated[int, Path(ge=0, le=2**31 - 1, description="Of the reading.")]

_SIGNED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request cannot be read, or came by a name that is not this server's."},
    401: {"model": Problem, "description": "Nobody is signed in."},
    403: {"model": Problem, "description": "Not for this role, or X-CSRF-Token is missing."},
    413: {"model": Problem, "description": "The body is too long."},
    422: {"model": Problem, "description": "The request is not as described."},
    503: {"model": Problem, "description": "The store cannot be reached now."},
}
_LEASED: dict[int | str, dict[str, Any]] = {
    **_SIGNED,
    404: {
        "model": Problem,
        "description": "Not there: a lease that is answered, over or another labeller's; a place; a claim.",
    },
    409: {"model": Problem, "description": "The meter, or the state of the lease, does not allow it."},
}


@router.post(
    "/session",
    status_code=201,
    responses={**_SIGNED, 429: {"model": Problem, "description": "Too many attempts; Retry-After says how long."}},
)
def sign_in(request: Request, asked: SignIn) -> Token:
    """Opens a session."""
    try:
        token, session = access.sign_in(request, asked.name, asked.password)
    except AccountError as error:
        raise HTTPException(401, sentence(error), {"WWW-Authenticate": "Bearer"}) from error
    account = session.account
    return Token(token=token, name=account.name, role=account.role, expires_at=session.expires_at)


@router.delete("/session", status_code=204, responses=_SIGNED)
def sign_out(visit: OursByHeader) -> None:
    """Ends the session."""
    visit.site.labelling.sign_out(visit.token)


@router.post("/next", responses=_SIGNED)
def next_comparison(visit: OursByHeader) -> Next:
    """Gives the comparison that is this labeller's: the one on lease, else the next one that waits."""
    work = visit.site.labelling.next(visit.name)
    return Next(work=None if work is None else _out(visit, work))


@router.get("/work/{token}", responses=_LEASED)
def work(visit: Visitor, token: Lease) -> WorkOut:
    """A comparison on lease, as it is now."""
    return _out(visit, _work(visit, token))


@router.get(
    "/work/{token}/boards/{side}",
    response_class=Response,
    responses={**_LEASED, 200: {"content": {"image/*": {}, "video/*": {}}}, 206: {"description": "A part of it."}},
)
def board(request: Request, visit: Visitor, token: Lease, side: Letter) -> Response:
    """The picture or clip of one output."""
    return serve_board(request, visit, token, side)


@router.get(
    "/work/{token}/boards/{side}/plot",
    response_class=Response,
    responses={**_LEASED, 200: {"content": {"image/svg+xml": {}}}},
)
def plot(visit: Visitor, token: Lease, side: Letter) -> Response:
    """What is drawn on the time line of a clip."""
    return serve_plot(visit, token, side)


@router.get(
    "/work/{token}/readings/{number}",
    response_class=Response,
    responses={**_LEASED, 200: {"content": {"image/*": {}, "video/*": {}}}, 206: {"description": "A part of it."}},
)
def shown(request: Request, visit: Visitor, token: Lease, number: Number) -> Response:
    """The picture or clip that an instrument showed."""
    return serve_shown(request, visit, token, number)


@router.post("/work/{token}/readings", responses=_LEASED)
def read(visit: OursByHeader, token: Lease, asked: Read) -> WorkOut:
    """Uses an instrument at a place; the reading is stored and off the meter when the answer comes."""
    held = _work(visit, token)
    if not _sheet(visit, held).has(asked.side, asked.instrument, asked.place):
        raise HTTPException(404, "There is no such place to read.")
    try:
        held = visit.site.labelling.read(
            visit.name, token, own_side(asked.side, held.swapped), asked.instrument, asked.place
        )
    except BudgetError as error:
        raise HTTPException(409, sentence(error)) from error
    return _out(visit, held)


@router.post("/work/{token}/claims", responses=_LEASED)
def open_claim(visit: OursByHeader, token: Lease, asked: Open) -> WorkOut:
    """Opens a claim; which were opened is kept with the answer."""
    held = _work(visit, token)
    if asked.claim >= len(_sheet(visit, held).claims):
        raise HTTPException(404, "There is no such claim.")
    visit.site.labelling.open_claim(visit.name, token, own_claim(held, asked.claim))
    return _out(visit, _work(visit, token))


@router.put("/work/{token}/draft", status_code=204, responses=_LEASED)
def draft(visit: OursByHeader, token: Lease, asked: Draft) -> None:
    """Keeps an answer that was begun."""
    held = _work(visit, token)
    kept = {"rationale": cleaned(asked.rationale), "instrument": cleaned(asked.instrument)}
    visit.site.labelling.save_draft(visit.name, token, {**held.draft, **kept})


@router.post("/work/{token}/answer", responses=_LEASED)
def answer(visit: OursByHeader, token: Lease, asked: Answer) -> Stored:
    """Stores an answer; sent twice, it is stored once. In the mode `revise` a second one follows."""
    try:
        return Stored(stored=give(visit, token, asked.choice, asked.stage, cleaned(asked.rationale)))
    except LeaseError as error:
        raise HTTPException(404, sentence(error)) from error


@router.post("/work/{token}/report", responses=_LEASED)
def report(visit: OursByHeader, token: Lease, asked: Broken) -> Stored:
    """Sets a broken comparison aside for everybody."""
    _work(visit, token)
    return Stored(stored=visit.site.labelling.report(visit.name, token, cleaned(asked.text) or "not said"))


@router.post("/undo", responses={**_SIGNED, 409: {"model": Problem, "description": "There is nothing to take back."}})
def undo(visit: OursByHeader) -> WorkOut:
    """Takes the last answer back and gives its comparison again."""
    held = visit.site.labelling.undo(visit.name)
    if held is None:
        raise HTTPException(409, "There is no answer to take back.")
    return _out(visit, held)


@router.get("/progress", responses=_SIGNED)
def progress(visit: Visitor) -> ProgressOut:
    """How far this labeller is."""
    found = visit.site.labelling.progress(visit.name)
    return ProgressOut(
        answered=found.answered, today=found.today, waiting=found.waiting, elsewhere=found.elsewhere
    )  # fmt: skip


@router.get(
    "/export",
    response_class=Response,
    responses={**_SIGNED, 200: {"content": {"application/x-ndjson": {}}, "description": "One JSON object a line."}},
)
def export(visit: Researcher) -> Response:
    """Every answer of everybody, those that were taken back among them; for researchers."""
    return answers_file(visit)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, visit: Visitor) -> Response:
    """This interface's description."""
    known = visit.site.memory.get("openapi")
    if known is None:
        known = get_openapi(title="rewardtree labelling", version="1", description=__doc__, routes=router.routes)
        known.setdefault("components", {})["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        known["security"] = [{"bearer": []}]
        visit.site.memory["openapi"] = known
    return JSONResponse(known)


def _work(visit: Visit, token: str) -> Work:
    try:
        return visit.site.labelling.work(visit.name, token)
    except LeaseError as error:
        raise HTTPException(404, sentence(error)) from error


def _sheet(visit: Visit, held: Work) -> Sheet:
    return show(held, reliability=visit.site.show_reliability)


def _out(visit: Visit, held: Work) -> WorkOut:
    return WorkOut.of(_sheet(visit, held))
