"""For researchers: how good the labels are, who gives them, what was reported, and the answers to take away."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rewardtree.errors import AccountError
from rewardtree.preferences.accounts import ROLES, Role
from rewardtree.preferences.quality import Quality, summarise
from rewardtree.preferences.records import Records
from rewardtree.web.access import OurResearcher, Researcher, Visit
from rewardtree.web.answering import sentence
from rewardtree.web.rendering import go, page, wants_part
from rewardtree.web.site import Site

FRESH_SECONDS = 5.0
"""Figures are not computed again sooner, however many look at them."""
DAY = 86400.0
EXPORTS = (("answers.jsonl", "Answers, JSONL"), ("quality.json", "Figures, JSON"))

router = APIRouter()

_computing = threading.Lock()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was computed of the answers, and when."""

    records: Records
    quality: Quality
    at: float


@router.get("/quality")
def quality(request: Request, visit: Researcher) -> Response:
    """All figures; asked for again by the page itself, the figures alone."""
    return _page(request, visit)


@router.post("/quality/invite")
def invite(
    request: Request,
    visit: OurResearcher,
    role: Annotated[str, Form(max_length=20)] = "labeller",
    uses: Annotated[int, Form(ge=1, le=1000)] = 1,
    days: Annotated[float, Form(gt=0, le=365)] = 7.0,
) -> Response:
    """Makes an invitation and shows its address this once."""
    if role not in ROLES:
        return _page(request, visit, status=422, problem="There is no such role.")
    code = visit.site.labelling.invite(cast(Role, role), uses=uses, seconds=days * DAY)
    scheme = "https" if visit.site.secure else request.url.scheme
    link = f"{scheme}://{request.headers['host']}/join/{code}"
    return _page(request, visit, link=link, invited=f"{uses} {role}{'s' if uses > 1 else ''}, {days:g} days")


@router.post("/quality/deactivate")
def deactivate(request: Request, visit: OurResearcher, name: Annotated[str, Form(max_length=200)]) -> Response:
    """Signs an account out for good."""
    if name == visit.name:
        return _page(request, visit, status=422, problem="You cannot lock yourself out.")
    try:
        visit.site.labelling.deactivate(name)
    except AccountError as error:
        return _page(request, visit, status=422, problem=sentence(error))
    return go(request, "/quality")


@router.post("/quality/put-back")
def put_back(request: Request, visit: OurResearcher, comparison: Annotated[str, Form(max_length=64)]) -> Response:
    """Gives a reported comparison out again."""
    visit.site.labelling.put_back(comparison)
    _forget(visit.site)
    return go(request, "/quality")


@router.get("/quality/answers.jsonl")
def answers(visit: Researcher) -> Response:
    """Every answer, one JSON object a line, those that were taken back among them."""
    return answers_file(visit)


@router.get("/quality/quality.json")
def all_figures(visit: Researcher) -> Response:
    """Every figure of this page, and more of each labeller."""
    body = orjson.dumps(dataclasses.asdict(figures(visit.site).quality), option=orjson.OPT_INDENT_2)
    headers = {"Content-Disposition": 'attachment; filename="quality.json"'}
    return Response(body, media_type="application/json", headers=headers)


def answers_file(visit: Visit) -> Response:
    """Every answer as JSONL."""
    records = visit.site.labelling.records()
    headers = {"Content-Disposition": 'attachment; filename="answers.jsonl"'}
    return StreamingResponse(_lines(records), media_type="application/x-ndjson", headers=headers)


def _lines(records: Records) -> Iterator[bytes]:
    for answer in records.answers:
        yield orjson.dumps(dataclasses.asdict(answer), option=orjson.OPT_APPEND_NEWLINE)


def figures(site: Site) -> Figures:
    """The figures, a few seconds old at most."""
    with _computing:
        known: Figures | None = site.memory.get("figures")
        if known is None or time.time() - known.at > FRESH_SECONDS:
            records, at = site.labelling.records(), time.time()
            known = Figures(records=records, quality=summarise(records, now=at), at=at)
            site.memory["figures"] = known
        return known


def _forget(site: Site) -> None:
    with _computing:
        site.memory.pop("figures", None)


def _page(request: Request, visit: Visit, *, status: int = 200, **filled: Any) -> Response:
    known = figures(visit.site)
    asked: dict[str, Any] = {"link": "", "invited": "", "problem": ""}
    asked |= {"quality": known.quality, "at": known.at, "exports": EXPORTS}
    asked["reports"] = [report for report in known.records.reports if report.open]
    if wants_part(request):
        return page(request, "_figures.html", visit=visit, status=status, **asked | filled)
    asked["accounts"] = visit.site.labelling.accounts()
    return page(request, "quality.html", visit=visit, status=status, **asked | filled)
