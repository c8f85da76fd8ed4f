"""A scorer over HTTP, for learning engines that run as processes of their own (verl, OpenRLHF).

`POST /score` takes `{"samples": [{"prompt", "output", "ids"?, "finish"?, "prompt_ids"?}, ...]}` and gives
`{"scores": [{"value", "spread", "abstain"}, ...]}` in the same order; `GET /ready` says that it is there. Both want the
token, as `Authorization: Bearer TOKEN`. It listens on this machine alone, unless another of its addresses is given, and
scores one batch at a time, since one model does.
"""

import contextlib
import hmac
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from rewardtree.errors import LanguageError
from rewardtree.language.completing import Finish
from rewardtree.language.scorer import Sample, Scorer

HOST = "127.0.0.1"
SAMPLES, CHARACTERS, BYTES = 4096, 1_000_000, 64 * 1024 * 1024
"""Of a batch, of each text, and of a whole request, at most."""
START_SECONDS = 30.0
_log = logging.getLogger("rewardtree.language")

Text = Annotated[str, Field(max_length=CHARACTERS)]
Ids = Annotated[tuple[int, ...], Field(max_length=CHARACTERS, strict=False)]


class _Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    prompt: Text
    output: Text
    ids: Ids | None = None
    finish: Finish = "stop"
    prompt_ids: Ids | None = None


class _Batch(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    samples: Annotated[list[_Sample], Field(max_length=SAMPLES)]


def app_of(scorer: Scorer, token: str, *, largest: int = BYTES) -> Any:
    """The application, for an ASGI server.

    Args:
        scorer: scores the batches.
        token: that every request must bring.
        largest: bytes of a request.

    Raises:
        LanguageError: the extra is not installed, or the token is too short to keep anybody out.
    """
    if len(token) < 16:
        raise LanguageError("a scorer's token has 16 characters at least; take secrets.token_urlsafe()")
    try:
        from fastapi import FastAPI, Request
        from fastapi.responses import JSONResponse
    except ModuleNotFoundError as error:
        raise LanguageError("serving a scorer needs FastAPI, which is not installed; run: pip install "
                            "'rewardtree[judge]'") from error  # fmt: skip
    app, turn = FastAPI(openapi_url=None), threading.Lock()

    def refusal(status: int, words: str) -> JSONResponse:
        return JSONResponse({"detail": words}, status_code=status)

    @app.middleware("http")
    async def guard(request: Request, go: Callable[[Request], Awaitable[Any]]) -> Any:
        sent = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, f"Bearer {token}".encode()):
            return refusal(401, "send the scorer's token as Authorization: Bearer TOKEN")
        told = request.headers.get("content-length", "0" if request.method == "GET" else "")
        if not told.isdecimal():
            return refusal(411, "say how long the body is, in Content-Length")
        if int(told) > largest:
            return refusal(413, f"a request has {largest} bytes at most; send fewer samples at a time")
        return await go(request)

    @app.get("/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/score")
    def score(batch: _Batch) -> Any:
        samples = [Sample(**dict(one)) for one in batch.samples]
        try:
            with turn:
                scores = scorer(samples)
            if len(scores) != len(samples):
                raise LanguageError(f"the scorer gave {len(scores)} scores to {len(samples)} samples")
        except Exception as error:
            _log.exception("a batch could not be scored")
            return refusal(500, str(error) if isinstance(error, LanguageError) else type(error).__name__)
        return {"scores": [{"value": one.value, "spread": one.spread, "abstain": one.abstain} for one in scores]}

    return app


@contextlib.contextmanager
def serving(scorer: Scorer, token: str, *, port: int = 0, host: str = HOST) -> Iterator[str]:
    """Serve a scorer from a thread while the block lasts; gives its address.

    Args:
        scorer: scores the batches.
        token: that every request must bring.
        port: on this machine; 0 for any that is free.
        host: the address of this machine that it listens at. What is not on this machine reads what is sent there, the
            token included, unless the network is a closed one.

    Raises:
        LanguageError: as for `app_of`, or where the port is taken or the address not this machine's.

    Example:
        >>> with serving(short, secrets.token_urlsafe()) as url:
        ...     subprocess.run([*engine, f"reward_url={url}/score"], check=True)
    """
    app = app_of(scorer, token)
    import uvicorn

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise LanguageError(f"cannot listen at {host}, port {port} ({error.strerror}); choose another port, or 0, "
                                "and an address of this machine") from error  # fmt: skip
        settings = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            until = time.monotonic() + START_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > until:
                    raise LanguageError("the scorer's server did not start; see what it printed")
                time.sleep(0.01)
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
