"""Refusals and failures: a page for people, JSON for programs, and never more than one sentence of what went wrong."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Scope

from rewardtree.errors import AccountError, RewardtreeError, StoreError
from rewardtree.web import access
from rewardtree.web.answering import sentence
from rewardtree.web.rendering import go, page, wants_part
from rewardtree.web.site import site_of

_log = logging.getLogger("rewardtree.web")

SIGN_IN = "Sign in first."


def add_handlers(app: FastAPI) -> None:
    """Makes an application answer every failure."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(access.NotSignedIn, _stranger)
    app.add_exception_handler(access.LetIn, _let_in)
    app.add_exception_handler(RewardtreeError, _unavailable)


def answer(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal in the form that the asker can read."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": text}, status, headers=dict(headers or {}))
    title = {401: "Sign in first", 404: "Not found", 413: "Too long", 429: "Too many attempts"}.get(status)
    title = title or ("Something went wrong" if status >= 500 else HTTPStatus(status).phrase)
    template = "_error.html" if wants_part(request) else "error.html"
    shown = page(request, template, status=status, heading=title, text=text)
    shown.headers.update(headers or {})
    if wants_part(request):
        shown.headers["HX-Retarget"] = "#problem"
        shown.headers["HX-Reswap"] = "innerHTML"
    return shown


async def refuse(scope: Scope, status: int, text: str) -> ASGIApp:
    """The guard's way to say no: nothing of the request is looked at."""
    request = Request(scope)
    headers = {"Connection": "close"} if status == 413 else {}
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": text}, status, headers=headers)
    return answer(request, status, text, headers)


async def _refused(request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)
    is_hidden = refusal.status_code in (404, 405) and not access.is_let_in(request)
    if is_hidden and await access.find_visit(request) is None:
        return _stranger(request, error)  # who is not signed in is not told what there is
    text = str(refusal.detail)
    if text == HTTPStatus(refusal.status_code).phrase:
        text = {404: "There is nothing here.", 405: "This cannot be done here."}.get(refusal.status_code, text + ".")
    return answer(request, refusal.status_code, text, refusal.headers)


def _misunderstood(request: Request, error: Exception) -> Response:
    problems = []
    for each in cast(RequestValidationError, error).errors():
        where = ".".join(str(part) for part in each["loc"] if part not in ("body", "query", "path"))
        problems.append(f"{where or 'body'}: {each['msg']}")
    return answer(request, 422, "; ".join(problems) + ".")


def _stranger(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return answer(request, 401, SIGN_IN, {"WWW-Authenticate": "Bearer"})
    if wants_part(request) or request.method in ("GET", "HEAD"):
        return go(request, "/sign-in")
    return answer(request, 401, SIGN_IN)


def _let_in(request: Request, error: Exception) -> Response:
    site = site_of(request)
    if request.headers.get("sec-fetch-site") == "cross-site" and request.headers.get("sec-fetch-mode") != "navigate":
        return answer(request, 403, "Another site's page asked for this, and nothing was done.")
    try:
        token, session = site.labelling.open_session(str(site.open_as), "researcher")
    except AccountError as refusal:
        return answer(request, 403, sentence(refusal))
    entered = go(request, "/" if request.url.path == "/sign-in" else request.url.path)
    access.set_session(request, entered, token, session)
    return entered


def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("%s %s: %s", request.method, request.url.path, error)
    told = " Nothing was stored; try again." if isinstance(error, StoreError) else ""
    return answer(request, 503, sentence(error) + told, {"Retry-After": "5"})
