"""The import hook that checks shapes in every test is on, and gets on with dataclasses and numba."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from jaxtyping import TypeCheckError, install_import_hook

MODULE = """
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    first: Float[np.ndarray, " items"]
    second: Float[np.ndarray, " items"]

    def __post_init__(self) -> None:
        if len(self.first) == 0:
            raise ValueError("empty")


def dot(a: Float[np.ndarray, " items"], b: Float[np.ndarray, " items"]) -> float:
    return float(kernel(a, b))


@numba.njit
@no_type_check
def kernel(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total
"""


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "checked_example.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with install_import_hook("checked_example", "beartype.beartype"):
        yield importlib.import_module("checked_example")
    del sys.modules["checked_example"]


def test_the_package_is_checked() -> None:
    hooks = [hook for hook in sys.meta_path if type(hook).__module__.startswith("jaxtyping")]
    assert any(hook.should_instrument("rewardtree.tasks") for hook in hooks)


def test_functions_and_frozen_dataclasses_refuse_wrong_shapes(checked: ModuleType) -> None:
    assert checked.dot(np.ones(3), np.ones(3)) == 3.0
    with pytest.raises(TypeCheckError):
        checked.dot(np.ones(3), np.ones(2))
    assert checked.Pair(first=np.ones(3), second=np.ones(3)).second.sum() == 3.0
    with pytest.raises(TypeCheckError):
        checked.Pair(first=np.ones(3), second=np.ones(2))


@pytest.mark.usefixtures("shapes_unchecked")
def test_without_the_checks_the_package_speaks_for_itself(checked: ModuleType) -> None:
    with pytest.raises(ValueError, match="empty"):
        checked.Pair(first=np.ones(0), second=np.ones(2))
    assert checked.Pair(first=np.ones(3), second=np.ones(2)).second.sum() == 2.0
