"""A tiny language model for the tests of the room, made once a process."""

from pathlib import Path

import pytest

from tiny_language import needs_lm, tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_lm()
    return tiny_model(tmp_path_factory.mktemp("tiny"))
