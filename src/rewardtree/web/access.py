"""Who is asking: sessions by cookie or bearer token, roles, and the token that shows a form to be ours.

What is asked of every request is asynchronous, and waits for a thread only where it has to look into the store: a
request that goes from the event loop to a thread and back at every step waits for every other one at each of them.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, Header
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rewardtree.errors import AccountError
from rewardtree.preferences.labelling import Session
from rewardtree.web.guard import loopback
from rewardtree.web.site import PER_ADDRESS, PER_NAME, Site, site_of

_DOORSTEP_SECONDS = 3600


class NotSignedIn(Exception):
    """Nobody is signed in."""


class LetIn(Exception):
    """Nobody is signed in, and whoever asks from this machine needs not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """A request by somebody who is signed in.

    Attributes:
        request: what is asked.
        site: the page.
        token: of the session.
        session: the account, and the token that every form must carry.
        bearer: whether the token came in a header, which no other site's page can make a browser send.
    """

    request: Request
    site: Site
    token: str
    session: Session
    bearer: bool

    @property
    def name(self) -> str:
        """Of the labeller."""
        return self.session.account.name


def cookie_name(request: Request, what: str = "session") -> str:
    """A cookie's name; cookies are shared by all ports of a host, so the port is part of it."""
    prefix = "__Host-" if site_of(request).secure else ""
    return f"{prefix}rewardtree-{what}-{request.url.port or 0}"


def set_cookie(request: Request, response: Response, token: str, *, what: str = "session", seconds: int) -> None:
    """Gives the browser a cookie that no script can read and no other site can send along."""
    response.set_cookie(
        cookie_name(request, what),
        token,
        max_age=seconds,
        path="/",
        secure=site_of(request).secure,
        httponly=True,
        samesite="lax",  # strict would show the sign-in page to whoever follows a link in a mail
    )


def set_session(request: Request, response: Response, token: str, session: Session) -> None:
    """Gives the browser its session."""
    seconds = max(1, round(session.expires_at - time.time()))
    set_cookie(request, response, token, seconds=seconds)


async def find_visit(request: Request) -> Visit | None:
    """Who is signed in, by bearer token or cookie."""
    site = site_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = scheme.lower() == "bearer"
    token = token.strip() if bearer else request.cookies.get(cookie_name(request), "")
    if not 0 < len(token) <= 200:
        return None
    session = site.labelling.known_session(token) or await run_in_threadpool(site.labelling.session, token)
    return None if session is None else Visit(request=request, site=site, token=token, session=session, bearer=bearer)


async def signed_in(request: Request) -> Visit:
    """Asks for a session.

    Raises:
        NotSignedIn: there is none.
        LetIn: there is none, and none is needed.
    """
    visit = await find_visit(request)
    if visit is not None:
        return visit
    if is_let_in(request) and request.method == "GET":
        raise LetIn
    raise NotSignedIn


def is_let_in(request: Request) -> bool:
    """Whether a request needs no signing in."""
    here = request.client is not None and loopback(request.client.host)
    return site_of(request).open_as is not None and here


Visitor = Annotated[Visit, Depends(signed_in)]


async def ours(
    visit: Visitor,
    csrf: Annotated[str, Form(max_length=200)] = "",
    x_csrf_token: Annotated[str, Header(max_length=200)] = "",
) -> Visit:
    """Asks for a session and for the token that only this page's own forms carry."""
    _check_csrf(visit, csrf or x_csrf_token)
    return visit


async def ours_by_header(visit: Visitor, x_csrf_token: Annotated[str, Header(max_length=200)] = "") -> Visit:
    """The same for JSON: the header X-CSRF-Token, where the session comes by cookie."""
    if not visit.bearer:
        _check_csrf(visit, x_csrf_token)
    return visit


def _check_csrf(visit: Visit, token: str) -> None:
    if not hmac.compare_digest(token.encode(), visit.session.csrf.encode()):
        raise HTTPException(403, "This form is out of date, and nothing was done. Load the page again.")


async def researcher(visit: Visitor) -> Visit:
    """Asks for the role."""
    if visit.session.account.role != "researcher":
        raise HTTPException(403, "This is for researchers only.")
    return visit


Ours = Annotated[Visit, Depends(ours)]
OursByHeader = Annotated[Visit, Depends(ours_by_header)]
Researcher = Annotated[Visit, Depends(researcher)]


def try_address(request: Request) -> None:
    """Counts an attempt to sign in or join.

    Raises:
        HTTPException: 429, there were too many from this address.
    """
    who = request.client.host if request.client is not None else "unknown"
    if not site_of(request).throttle.count(PER_ADDRESS, f"address {who}"):
        raise HTTPException(429, "Too many attempts from your address. Wait a minute.", {"Retry-After": "60"})


def sign_in(request: Request, name: str, password: str) -> tuple[str, Session]:
    """Signs somebody in.

    Raises:
        AccountError: name or password is wrong.
        HTTPException: 429, there were too many attempts.
    """
    site = site_of(request)
    try_address(request)
    who = "name " + hashlib.sha256(name.casefold().encode()).hexdigest()
    if not site.throttle.allows(PER_NAME, who):
        raise HTTPException(429, "Too many attempts for this name. Wait five minutes.", {"Retry-After": "300"})
    try:
        return site.labelling.sign_in(name, password)
    except AccountError:
        site.throttle.count(PER_NAME, who)
        raise


def doorstep(request: Request) -> str:
    """The token for forms of people who have no session yet; the same as long as they stay."""
    known = request.cookies.get(cookie_name(request, "doorstep"), "")
    return known if len(known) == 43 else secrets.token_urlsafe(32)


def keep_doorstep(request: Request, response: Response, token: str) -> None:
    """Gives the browser the other half of `doorstep`'s token."""
    set_cookie(request, response, token, what="doorstep", seconds=_DOORSTEP_SECONDS)


def came_by_doorstep(request: Request, csrf: str) -> bool:
    """Whether a form without session is one of ours."""
    known = request.cookies.get(cookie_name(request, "doorstep"), "")
    return len(known) == 43 and hmac.compare_digest(known.encode(), csrf.encode())


async def our_researcher(visit: Ours) -> Visit:
    """Asks for the role and for a form of ours."""
    return await researcher(visit)


OurResearcher = Annotated[Visit, Depends(our_researcher)]
