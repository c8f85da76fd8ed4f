"""Recursive reward modelling: train trees of policies whose outputs are judged with trained help.

The package's contract is what this module exports. Heavy libraries are imported only where they are used, so
`import rewardtree` stays quick.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from rewardtree.errors import (
    BudgetError,
    ConfigError,
    InputFileError,
    RewardtreeError,
    RunError,
    StoreError,
    TaskError,
    TreeError,
)

if TYPE_CHECKING:
    from rewardtree.studies.trained import load_policy, load_reward_model

try:
    __version__ = version("rewardtree")
except PackageNotFoundError:  # read from a source tree that was never installed
    __version__ = "0+uninstalled"

__all__ = [
    "BudgetError",
    "ConfigError",
    "InputFileError",
    "RewardtreeError",
    "RunError",
    "StoreError",
    "TaskError",
    "TreeError",
    "__version__",
    "load_policy",
    "load_reward_model",
]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first asked for."""
    if name in ("load_policy", "load_reward_model"):
        from rewardtree.studies import trained

        return getattr(trained, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Names of the package, those not imported yet included."""
    return sorted({*globals(), *__all__})
