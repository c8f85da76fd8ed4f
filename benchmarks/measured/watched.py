"""CPU seconds by the methods that spend them. It needs nothing but Python, so that any interpreter can use it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def watched(parts: Mapping[str, tuple[type, str]]) -> Iterator[Counter[str]]:
    """CPU seconds spent in methods; what one calls of the others counts as its own.

    Args:
        parts: by name, a class and its method.
    """
    spent: Counter[str] = Counter()
    inside: list[str] = []

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if inside:
                return method(*arguments, **named)
            inside.append(name)
            began = time.process_time()
            try:
                return method(*arguments, **named)
            finally:
                spent[name] += time.process_time() - began
                inside.pop()

        return run

    with ExitStack() as stack:
        for name, (owner, method) in parts.items():
            stack.enter_context(patch.object(owner, method, timed(name, getattr(owner, method))))
        yield spent
