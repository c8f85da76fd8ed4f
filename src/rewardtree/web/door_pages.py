"""Coming and going: sign in, join by invitation, pause, sign out, help."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rewardtree.errors import AccountError
from rewardtree.preferences.labelling import Session
from rewardtree.web import access
from rewardtree.web.access import Ours, Visitor
from rewardtree.web.rendering import page
from rewardtree.web.site import site_of

router = APIRouter()

OLD_FORM = "This form is out of date. Try again."

Name = Annotated[str, Form(max_length=200)]
Password = Annotated[str, Form(max_length=1000)]
Csrf = Annotated[str, Form(max_length=200)]


@router.get("/sign-in")
async def sign_in_form(request: Request) -> Response:
    """Asks for name and password."""
    if await access.find_visit(request) is not None or access.is_let_in(request):
        return RedirectResponse("/", status_code=303)
    return _form(request, "sign_in.html")


@router.post("/sign-in")
def sign_in(request: Request, name: Name = "", password: Password = "", csrf: Csrf = "") -> Response:
    """Opens a session."""
    if not access.came_by_doorstep(request, csrf):
        return _form(request, "sign_in.html", status=403, problem=OLD_FORM, typed=name)
    try:
        token, session = access.sign_in(request, name, password)
    except AccountError as error:
        return _form(request, "sign_in.html", status=401, problem=str(error), typed=name)
    except HTTPException as error:
        return _form(request, "sign_in.html", status=error.status_code, problem=error.detail, typed=name)
    return _entered(request, token, session)


@router.get("/join/{code}")
def join_form(request: Request, code: str) -> Response:
    """Asks an invited person for a name and a password."""
    return _form(request, "join.html", code=code)


@router.post("/join/{code}")
def join(request: Request, code: str, name: Name = "", password: Password = "", csrf: Csrf = "") -> Response:
    """Makes an account and opens a session."""
    if not access.came_by_doorstep(request, csrf):
        return _form(request, "join.html", status=403, problem=OLD_FORM, typed=name, code=code)
    try:
        access.try_address(request)
        account = site_of(request).labelling.join(code, name, password)
        token, session = site_of(request).labelling.sign_in(account.name, password)
    except AccountError as error:
        return _form(request, "join.html", status=422, problem=str(error), typed=name, code=code)
    except HTTPException as error:
        return _form(request, "join.html", status=error.status_code, problem=error.detail, typed=name, code=code)
    return _entered(request, token, session)


@router.get("/pause")
def pause(request: Request, visit: Visitor) -> Response:
    """A page without a comparison, to come back from."""
    labelling = visit.site.labelling
    kept = labelling.lease_seconds
    return page(request, "pause.html", visit=visit, progress=labelling.progress(visit.name), kept=kept)


@router.get("/help")
def explain(request: Request, visit: Visitor) -> Response:
    """What everything means, and the keys."""
    return page(request, "help.html", visit=visit)


@router.post("/sign-out")
def sign_out(request: Request, visit: Ours) -> Response:
    """Ends the session."""
    visit.site.labelling.sign_out(visit.token)
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(access.cookie_name(request), path="/", secure=visit.site.secure, httponly=True)
    return answer


def _form(
    request: Request, template: str, *, status: int = 200, problem: str = "", typed: str = "", code: str = ""
) -> Response:
    token = access.doorstep(request)
    answer = page(request, template, status=status, problem=problem, typed=typed, code=code, doorstep=token)
    access.keep_doorstep(request, answer, token)
    if status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


def _entered(request: Request, token: str, session: Session) -> Response:
    # A look at the comparing page takes a comparison, which others then wait for.
    where = "/quality" if session.account.role == "researcher" else "/"
    answer = RedirectResponse(where, status_code=303)
    access.set_session(request, answer, token, session)
    return answer
