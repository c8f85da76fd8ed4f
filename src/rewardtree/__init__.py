"""Recursive reward modelling: train trees of policies whose outputs are judged with trained help.

The package's contract is what this module exports. Heavy libraries are imported only where they are used, so
`import rewardtree` stays quick.
"""

from importlib.metadata import PackageNotFoundError, version

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
]
