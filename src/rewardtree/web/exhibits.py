"""Exhibits of comparisons, opened: what is drawn, instruments with their places still packed, claims."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from rewardtree.preferences.labelling import Work
from rewardtree.preferences.values import Comparison
from rewardtree.tasks.board import outline

LARGE = 500_000
"""Bytes of an exhibit of which few are kept at hand."""


def unpacked(work: Work) -> Mapping[str, Any]:
    """The exhibit of the comparison at which a labeller is."""
    if work.comparison.fields is None:
        return _undrawn(work.comparison)
    return opened(work.comparison.fields)


def opened(packed: bytes) -> Mapping[str, Any]:
    """What was packed; a page, its boards and its readings ask for it one after the other."""
    return (_films if len(packed) > LARGE else _pictures)(packed)


def _undrawn(asked: Comparison) -> Mapping[str, Any]:
    """A comparison that was stored without an exhibit, as its records tell it."""
    board = {"kind": "text", "media_type": "text/plain"}
    found = {}
    for own in ("first", "second"):
        text = orjson.dumps(asked.payload.get(own), option=orjson.OPT_INDENT_2).decode()
        found[own] = {"board": board | {"data": text}, "instruments": [], "claims": []}
    return found


_pictures = lru_cache(maxsize=128)(outline)
_films = lru_cache(maxsize=8)(outline)
