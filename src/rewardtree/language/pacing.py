"""Keeping to an endpoint's limits: requests and tokens a minute, and pauses that it asks for, for all threads alike."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MINUTE = 60.0


@dataclass(kw_only=True, slots=True)
class Pace:
    """Lets requests begin no faster than allowed: each takes up its share of a minute (a leaky bucket).

    Attributes:
        requests: a minute; None for no limit.
        tokens: a minute; None for no limit.
        clock, sleep: of the world; others for tests.
    """

    requests: float | None = None
    tokens: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free: float = 0.0
    _paused: float = 0.0

    def wait(self, tokens: int) -> None:
        """Wait until a request of about so many tokens may begin."""
        with self._lock:
            now = self.clock()
            begin = max(now, self._free, self._paused)
            shares = [MINUTE / self.requests] if self.requests else []
            shares += [MINUTE * tokens / self.tokens] if self.tokens else []
            self._free = begin + max(shares, default=0.0)
        while (left := max(begin, self._paused) - self.clock()) > 0:
            self.sleep(left)

    def settle(self, guessed: int, used: int) -> None:
        """Correct what a request was taken to need by what it did."""
        if self.tokens:
            with self._lock:
                self._free += MINUTE * (used - guessed) / self.tokens

    def pause(self, seconds: float) -> None:
        """Let nobody begin for so long."""
        with self._lock:
            self._paused = max(self._paused, self.clock() + seconds)
