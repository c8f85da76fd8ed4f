"""The made-up books, written once, and the domain's tasks on them."""

from pathlib import Path

import pytest

from made_up_books import write_books
from rewardtree.domains.novels.chapters import DrawChapters
from rewardtree.domains.novels.facts import Draw
from rewardtree.domains.novels.nodes import Library, drawing, drawing_chapters, drawing_stage, library
from rewardtree.domains.novels.summary import DrawStage

SHELF = 64


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_books(tmp_path_factory.mktemp("books"))


@pytest.fixture(scope="session")
def books(folder: Path) -> Library:
    return library(folder, 0)


@pytest.fixture(scope="session")
def drawn(folder: Path) -> Draw:
    return drawing(folder, 0, SHELF)


@pytest.fixture(scope="session")
def draw_chapters(drawn: Draw) -> DrawChapters:
    return drawing_chapters(drawn)


@pytest.fixture(scope="session")
def draw_stage(folder: Path) -> DrawStage:
    return drawing_stage(folder, 0)
