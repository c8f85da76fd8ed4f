"""Pages from templates, whole or, where htmx asks for it, the part that changes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rewardtree.web.access import Visit
from rewardtree.web.site import site_of


def wants_part(request: Request) -> bool:
    """Whether htmx asks, which puts the answer into the page that is open."""
    return request.headers.get("hx-request") == "true"


def page(
    request: Request, template: str, *, visit: Visit | None = None, status: int = 200, **filled: Any
) -> HTMLResponse:
    """Fills in a template.

    Args:
        request: what is answered.
        template: its file.
        visit: who is signed in, if anybody is.
        status: of the answer.
        **filled: what the template asks for.
    """
    site = site_of(request)
    known = {
        "visit": visit,
        "name": visit.name if visit else None,
        "csrf": visit.session.csrf if visit else "",
        "is_researcher": visit is not None and visit.session.account.role == "researcher",
        "signs_out": site.open_as is None,
    }
    html = site.templates.get_template(template).render(known | filled)
    return HTMLResponse(html, status, headers={"Vary": "HX-Request, Cookie"})


def go(request: Request, where: str) -> Response:
    """Sends a browser to another page."""
    if wants_part(request):
        return Response(status_code=200, headers={"HX-Redirect": where})
    return RedirectResponse(where, status_code=303)
