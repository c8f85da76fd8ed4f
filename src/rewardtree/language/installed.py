"""Optional packages: imported when needed, asked for by name where they are missing, and kept quiet."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rewardtree.errors import LanguageError

RENAMED = r"`\w+` is deprecated and will be removed"
"""What transformers says of its own old words, which peft and TRL still use."""


def require(module: str) -> Any:
    """Import a module of the extra `lm`.

    Raises:
        LanguageError: where it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise LanguageError(
            f"language models need {error.name}, which is not installed; run: pip install 'rewardtree[lm]'"
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Let transformers say nothing but errors: no bars, no reports on loading, no warnings of its own renamings."""
    logging = require("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=RENAMED, category=FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
