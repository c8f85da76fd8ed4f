"""Runs the page: to the end of the process, or beside something else."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rewardtree.errors import ConfigError
from rewardtree.preferences.labelling import Labelling
from rewardtree.web.app import create_app
from rewardtree.web.guard import known_hosts, loopback

HEAD_SECONDS = 10.0
"""Time that a request's head may take to arrive."""
WHOLE_SECONDS = 15.0
"""Time that a body may take to arrive, whether or not it is read; more than the guard allows where it is."""
CONNECTIONS = 1000
"""Open at once; more are told to come back."""
_START_SECONDS = 30.0


class Patient(H11Protocol):
    """HTTP/1.1, but a connection is closed on which a request's head or body is not there in time.

    h11 and not the faster httptools, which takes the body of a request that asks for an upgrade for another request,
    and trailers of any length for headers.
    """

    _deadline: asyncio.TimerHandle | None = None
    _waits_for: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        # asyncio leaves this off for sockets that do not say IPPROTO_TCP, and then every answer waits 40 ms for an ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait(h11.IDLE, HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Starts the clock where a head or a body begins, stops it where a request is whole."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self._wait(h11.IDLE, HEAD_SECONDS)
        elif self.conn.their_state is h11.SEND_BODY:  # the guard refuses what it reads too slowly; this is for the rest
            self._wait(h11.SEND_BODY, WHOLE_SECONDS)
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self, what: object, seconds: float) -> None:
        if self._waits_for is not what:
            self._stop()
            self._waits_for, self._deadline = what, self.loop.call_later(seconds, self.transport.close)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._waits_for = self._deadline = None


def serve(
    labelling: Labelling,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    listening: socket.socket | None = None,
    hosts: Sequence[str] = (),
    proxies: str = "",
    **page: Any,
) -> None:
    """Serves the page until the process is told to stop (SIGINT or SIGTERM).

    Args:
        labelling: the store's side; the caller closes it.
        host: address to listen at.
        port: to listen at.
        listening: a socket that does so already, by `listen`; it is closed.
        hosts: further names by which the page may be asked for, such as a proxy's.
        proxies: addresses of proxies, comma-separated, whose word on who asks and how is taken.
        **page: title and more, as for `create_app`.

    Raises:
        ConfigError: the address is taken, or a page without signing in would be open to others.
    """
    with listening or listen(host, port, alone=page.get("open_as") is not None) as bound:
        _server(labelling, host, hosts, proxies, page).run(sockets=[bound])


@contextlib.contextmanager
def serving(
    labelling: Labelling,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    listening: socket.socket | None = None,
    hosts: Sequence[str] = (),
    proxies: str = "",
    **page: Any,
) -> Iterator[str]:
    """Serves the page from a thread while the `with` block lasts.

    Args:
        labelling: as for `serve`.
        host: as for `serve`.
        port: as for `serve`; 0 for any that is free.
        listening: as for `serve`.
        hosts: as for `serve`.
        proxies: as for `serve`.
        **page: as for `serve`.

    Yields:
        The page's address.

    Raises:
        ConfigError: as for `serve`, or the server did not start.
    """
    with listening or listen(host, port, alone=page.get("open_as") is not None) as bound:
        server = _server(labelling, host, hosts, proxies, page)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="labelling", daemon=True)
        thread.start()
        try:
            until = time.monotonic() + _START_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > until:
                    raise ConfigError("the labelling page did not start; its log says why")
                time.sleep(0.01)
            yield f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def listen(host: str, port: int, *, alone: bool = False) -> socket.socket:
    """Takes a port, before anything is made or said that depends on it.

    Args:
        host: as for `serve`.
        port: as for `serving`.
        alone: whether the page is one person's, without signing in.

    Raises:
        ConfigError: as for `serve`.
    """
    if alone and not loopback(host):
        raise ConfigError(
            f"a page without signing in must not be open to others, and {host} is; "
            "listen at 127.0.0.1, or let people sign in"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0].lower()  # what follows repeats the address
        option = "--port" if loopback(host) else "--host or --port"
        raise ConfigError(f"cannot listen at {host}, port {port}: {why}; choose another with {option}") from error


def _server(
    labelling: Labelling, host: str, hosts: Sequence[str], proxies: str, page: dict[str, Any]
) -> uvicorn.Server:
    names, any_number = known_hosts(host, hosts)
    return uvicorn.Server(
        uvicorn.Config(
            create_app(labelling, hosts=names, any_number=any_number, **page),
            http=Patient,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or None,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
        )
    )
