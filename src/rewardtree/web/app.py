"""The application: pages, JSON, guard and limits put together over one project's labelling."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from rewardtree.preferences.labelling import Labelling
from rewardtree.web import api, assets, boards, door_pages, labelling_pages, problems, research_pages
from rewardtree.web.guard import Guard
from rewardtree.web.site import Site, load_templates

LOCAL = ("localhost", "127.0.0.1", "::1")


def create_app(
    labelling: Labelling,
    *,
    title: str,
    open_as: str | None = None,
    secure: bool = False,
    show_reliability: bool = True,
    hosts: Collection[str] = LOCAL,
    any_number: bool = False,
) -> FastAPI:
    """Makes the labelling page of one project.

    Args:
        labelling: the store's side; the caller closes it.
        title: of the page, for instance the run's name.
        open_as: name of the one person who uses this page from this very machine without signing in, as a researcher;
            None where everybody signs in. Whoever can reach the machine's loopback address is that person, unless a
            proxy says that it passed the request on.
        secure: whether the page is reached by HTTPS, through a proxy; cookies are then sent no other way.
        show_reliability: whether helpers' measured reliability stands beside their claims.
        hosts: names by which the page may be asked for.
        any_number: whether it may be asked for by any IP address too.

    Returns:
        An ASGI application.
    """
    app = FastAPI(title=f"{title}: labelling", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(
        labelling=labelling,
        title=title,
        open_as=open_as,
        secure=secure,
        show_reliability=show_reliability,
        templates=load_templates(title),
    )
    for part in (door_pages, labelling_pages, boards, research_pages):
        app.include_router(part.router, include_in_schema=False)
    app.include_router(api.router)
    app.router.routes.append(Route("/static/{name}", assets.static, methods=["GET"]))
    problems.add_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(
        Guard, hosts=hosts, numbers=any_number, secure=secure, alone=open_as is not None, refuse=problems.refuse
    )
    return app
