"""A real local server that speaks chat/completions and whose model is a rule; it misbehaves when told to."""

import asyncio
import json
import math
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

Messages = list[dict[str, str]]
Rule = Callable[[Messages], str | tuple[str, float]]
"""What the model says; perhaps with the probability of A at the last token, for log-probabilities."""
KEY = "sk-very-secret"


def words(text: str, probability: float | None = None, *, tokens: int = 7) -> dict[str, Any]:
    """An answer as OpenAI's."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if probability is not None:
        top = [{"token": word, "logprob": math.log(p)} for word, p in ((" A", probability), (" B", 1 - probability))]
        pieces = re.findall(r"\s*\w+|\W", text)
        content = [{"token": piece, "logprob": -0.1, "top_logprobs": top} for piece in pieces]
        choice["logprobs"] = {"content": content}
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": tokens}}


def half(body: dict[str, Any]) -> Response:
    """A body that breaks off."""
    whole = json.dumps(words("never seen")).encode()
    return StreamingResponse(iter([whole[:20]]), media_type="application/json",
                             headers={"content-length": str(len(whole))})  # fmt: skip


def dripping(body: dict[str, Any]) -> Response:
    """A body that comes a byte at a time, each soon enough, and the whole too late."""

    async def drops() -> AsyncIterator[bytes]:
        for byte in json.dumps(words("never seen")).encode():
            yield bytes([byte])
            await asyncio.sleep(0.02)

    return StreamingResponse(drops(), media_type="application/json")


def status(code: int, text: str = "no", **headers: str) -> Callable[[dict[str, Any]], Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda body: JSONResponse({"error": {"message": text}}, status_code=code, headers=named)


def raw(text: str) -> Callable[[dict[str, Any]], Response]:
    return lambda body: Response(text, media_type="application/json")


def slow(seconds: float) -> Callable[[dict[str, Any]], Response]:
    def answer(body: dict[str, Any]) -> Response:
        time.sleep(seconds)
        return JSONResponse(words("late"))

    return answer


@dataclass
class ChatServer:
    """What the server does next and what it was asked.

    Attributes:
        rule: the model.
        faults: given instead of answers, first come first served.
        key: that must be sent, if any.
        limit: answers until every other request is refused with 503; None for no end.
        asked: bodies of answered requests.
        most: requests that were under way at once, at most.
    """

    rule: Rule
    faults: list[Callable[[dict[str, Any]], Response]] = field(default_factory=list)
    key: str | None = None
    limit: int | None = None
    pause: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0
    most: int = 0
    url: str = ""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any], sent: str) -> Response:
        with self._lock:
            self._now += 1
            self.tries += 1
            self.most = max(self.most, self._now)
            fault = self.faults.pop(0) if self.faults else None
        try:
            return self._answer(body, sent, fault)
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, body: dict[str, Any], sent: str, fault: Callable[[dict[str, Any]], Response] | None) -> Response:
        if self.key is not None and sent != f"Bearer {self.key}":
            return status(401, f"wrong key {sent}")(body)
        if body["model"] != "rule":
            return status(404, f"no model {body['model']}")(body)
        if fault is not None:
            return fault(body)
        time.sleep(self.pause)
        with self._lock:
            if self.limit is not None and len(self.asked) >= self.limit:
                return status(503, "gone")(body)
            self.asked.append(body)
        said = self.rule(body["messages"])
        text, probability = said if isinstance(said, tuple) else (said, None)
        return JSONResponse(words(text, probability if body.get("logprobs") else None))


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    """The server on a port of its own, until the block ends."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    def complete(request: Request, body: dict[str, Any]) -> Response:
        return server.answer(body, request.headers.get("authorization", ""))

    with running(app) as url:
        server.url = f"{url}/v1"
        yield server


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An application on a free port of this machine, until the block ends; gives its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        listening.close()
