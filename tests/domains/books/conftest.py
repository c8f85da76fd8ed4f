"""Made-up books long enough for three heights."""

from pathlib import Path

import pytest

from made_up_books import write_book
from rewardtree.domains.books.heights import Library

CHAPTERS, FAN = 24, 4


@pytest.fixture(scope="session")
def long_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long_books")
    for number, name in enumerate(("a", "b", "c", "d")):
        write_book(folder / f"{name}_made_up.txt", number, CHAPTERS)
    return folder


@pytest.fixture(scope="session")
def books_library(long_books: Path) -> Library:
    return Library(folder=long_books, seed=0, fan=FAN)
