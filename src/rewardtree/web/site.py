"""What all parts of the page share: the store's side of it, its settings, its templates and its rate limits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from rewardtree.preferences.labelling import Labelling
from rewardtree.web.assets import address
from rewardtree.web.display import SHOWN
from rewardtree.web.marking import FILTERS
from rewardtree.web.wording import WORDS

PER_ADDRESS = RateLimitItemPerMinute(60)
"""Attempts to sign in or join from one address; a room of fifty may share one."""
PER_NAME = RateLimitItemPerMinute(10, 5)
"""Failed attempts to sign in to one account, in five minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throttle:
    """Counts attempts in this process's memory; a restart forgets them."""

    limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))

    def allows(self, limit: RateLimitItem, who: str) -> bool:
        """Whether there is an attempt left; it is not used up."""
        return self.limiter.test(limit, who)

    def count(self, limit: RateLimitItem, who: str) -> bool:
        """Uses an attempt up; False where there was none left."""
        return self.limiter.hit(limit, who)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A page over one project's store.

    Attributes:
        labelling: the store's side.
        title: shown on top.
        open_as: whoever comes from this machine is this person, without signing in; None if all must.
        secure: reached by HTTPS only: cookies say so.
        show_reliability: whether helpers' measured reliability stands beside their claims.
        templates: for HTML.
        throttle: limits on signing in and joining.
        memory: what was computed a moment ago, by name.
    """

    labelling: Labelling
    title: str
    open_as: str | None
    secure: bool
    show_reliability: bool
    templates: jinja2.Environment
    throttle: Throttle = field(default_factory=Throttle)
    memory: dict[str, Any] = field(default_factory=dict)


def load_templates(title: str) -> jinja2.Environment:
    """Templates in which everything that is filled in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS | dict(WORDS))
    environment.globals.update(title=title, asset=address, answers=SHOWN)
    return environment


def site_of(request: Request) -> Site:
    """The page that a request is for."""
    site: Site = request.app.state.site
    return site
