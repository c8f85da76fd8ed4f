"""What every request passes before anything of it is believed, and what every answer carries.

The guard refuses a Host that is not this page's (other sites' names that point here), what a proxy passed on to a page
that is one person's, a writing request that another site's page sent, a body that is too large, and a body that
trickles. It adds the headers that keep a browser from running, framing, keeping or sending anything that the page
did not mean.
"""

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("rewardtree.web")

LARGEST_BODY = 64 * 1024
"""Bytes; the longest rationale takes a third of it."""
BODY_SECONDS = 10.0
"""Time that a body may take to arrive."""
LINGER_SECONDS = 1.0
"""Time in which the rest of a body that is too long is thrown away."""

PASSED_ON = frozenset({"forwarded", "via", "x-real-ip"})
"""Headers of which each says that a proxy passed a request on; every `X-Forwarded-...` says so too."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send Origin: null with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""Of every answer that does not set its own."""

Refuse = Callable[[Scope, int, str], Awaitable[ASGIApp]]
"""Makes the answer to a refused request."""


class Guard:
    """Wraps an application.

    Args:
        app: what is guarded.
        hosts: names by which this page may be asked for, without port.
        numbers: whether it may be asked for by any IP address too, as it is when it listens on all of them.
        secure: whether it is reached by HTTPS.
        alone: whether one person at this machine uses it without signing in.
        refuse: makes the answer to a refused request.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], numbers: bool, secure: bool, alone: bool, refuse: Refuse
    ) -> None:
        self._app, self._refuse, self._numbers, self._alone = app, refuse, numbers, alone
        self._hosts = {host.lower() for host in hosts}
        self._headers = dict(HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] != "http":
            return

        status = 0

        async def adorned(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            elif status == 413 and not message.get("more_body", False):
                # A connection that is closed while the other side still sends is reset, and the answer may be lost.
                await send({**message, "more_body": True})
                await _discard(receive, LINGER_SECONDS)
                message = {"type": "http.response.body"}
            await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            if refused[0] != 413:
                await _discard(_Body(receive), BODY_SECONDS)
            answer = await self._refuse(scope, *refused)
            await answer(scope, receive, adorned)
            return
        try:
            await self._app(scope, _Body(receive), adorned)
        except Exception:
            _log.exception("%s %s", scope["method"], scope["path"])
            if status:
                raise
            answer = await self._refuse(scope, 500, "The server failed; nothing was stored. Its log says more.")
            await answer(scope, receive, adorned)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        asked = headers.getlist("host")
        if len(asked) != 1 or not self._knows(asked[0]):
            return 400, "This server does not go by that name. Use the address that it printed when it started."
        if self._alone and any(name in PASSED_ON or name.startswith("x-forwarded-") for name in headers):
            return 403, (
                "A proxy passed this on, and this page is open to one person at its own machine only. "
                "To let others in, start it without --open."
            )
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and _is_foreign(headers):
            return 403, "This was sent by another site's page, and nothing was done."
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, "Content-Length is no number."
        if int(length) > LARGEST_BODY:
            return 413, f"That is too long: {LARGEST_BODY // 1024} KB is the most that can be sent."
        return None

    def _knows(self, asked: str) -> bool:
        try:
            name = urlsplit(f"//{asked}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            return self._numbers and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


class _Body:
    """Hands a request's body on, as long as it is short and comes quickly."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._bytes, self._over = receive, 0, False
        self._until = time.monotonic() + BODY_SECONDS

    async def __call__(self) -> Message:
        """The next piece."""
        if self._over:  # what comes now is the news that the client has gone, at any time
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except TimeoutError:
            raise HTTPException(408, "That took too long to arrive; send it again.", {"Connection": "close"}) from None
        self._bytes += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        if self._bytes > LARGEST_BODY:
            text = f"That is too long: {LARGEST_BODY // 1024} KB is the most that can be sent."
            raise HTTPException(413, text, {"Connection": "close"})
        return message


async def _discard(receive: Receive, seconds: float) -> None:
    """Takes the rest of a body, for a while."""
    with contextlib.suppress(TimeoutError, HTTPException):
        async with asyncio.timeout(seconds):
            while (await receive()).get("more_body", False):
                pass


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this."""
    origin = headers.get("origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() != headers["host"].lower()
        except ValueError:
            return True
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def known_hosts(host: str, more: Sequence[str]) -> tuple[frozenset[str], bool]:
    """Names that a server bound to `host` goes by, and whether it goes by any IP address.

    Args:
        host: what it is bound to.
        more: other names of it.
    """
    own = {"localhost", "127.0.0.1", "::1"}
    named = {name.lower() for name in more}
    if loopback(host):
        return frozenset(own | named), False
    return frozenset(own | named | {host.strip("[]").lower()}), True
