"""Folders of books, chapters, splits, and bad books."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from made_up_books import write_book, write_books
from rewardtree.cli import app
from rewardtree.domains.novels import fetching
from rewardtree.domains.novels.books import KNOWN, chapters_of, default_folder, files_of, read_book, splits_of
from rewardtree.domains.novels.domain import DOMAIN
from rewardtree.errors import ConfigError, InputFileError, RunError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget


def settings(**options: object) -> Settings:
    return Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds(), options=options)


def test_chapters_are_told_by_their_headings() -> None:
    words = "word " * 120
    text = (
        f"A Title\n\nCHAPTER I\n\n{words}\n{words}\n\nNext.\n\nVOLUME II\n\nChapter 2. Of more\n\n{words}\n\nTHE END\n"
    )
    first, second = chapters_of(text)
    assert first.split("\n") == [f"{words}{words}".strip(), "Next."]
    assert second == words.strip()


def test_a_text_without_headings_is_cut_evenly() -> None:
    found = chapters_of("\n\n".join(["word " * 500] * 20))
    assert [len(chapter.split()) for chapter in found] == [3000, 3000, 3000, 1000]


def test_known_books_have_their_splits_and_others_go_by_name(tmp_path: Path) -> None:
    known = {
        split: [path.stem for path in paths] for split, paths in splits_of([Path(f"{n}.txt") for n in KNOWN]).items()
    }
    assert known["test"] == ["persuasion", "moby_dick"] and len(known["train"]) == 3
    other = splits_of(files_of(write_books(tmp_path)))
    assert [len(other[split]) for split in ("train", "calibration", "validation", "test")] == [2, 1, 1, 1]
    assert other["test"][0].stem == "e_made_up"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"Chapter 1\n\nToo short.\n", "no book"),
        (b"\x7fELF\0\0", "binary"),
        ("Chapter 1".encode("utf-16"), "UTF-16; save the text as UTF-8"),
        ("Chapter 1\ncaf\u00e9".encode("latin-1"), "2: it is not UTF-8"),
    ],
)
def test_a_bad_book_is_said_with_its_remedy(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match=said):
        read_book(path)


def test_a_missing_book_and_an_epub_that_is_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="cannot be read"):
        read_book(tmp_path / "nothing.txt")
    (tmp_path / "bad.epub").write_bytes(b"no zip")
    with pytest.raises(InputFileError, match="no EPUB"):
        read_book(tmp_path / "bad.epub")


def test_a_folder_with_too_few_books_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="rewardtree fetch novels"):
        DOMAIN.build(settings(books=str(tmp_path / "nowhere")))
    write_book(tmp_path / "one.txt", 0)
    with pytest.raises(ConfigError, match="holds 1 books"):
        DOMAIN.build(settings(books=str(tmp_path)))
    (tmp_path / "one.epub").write_bytes(b"")
    with pytest.raises(ConfigError, match="holds one twice"):
        DOMAIN.build(settings(books=str(tmp_path)))
    monkeypatch.setenv("REWARDTREE_BOOKS", str(tmp_path))
    assert default_folder() == tmp_path


def test_wrong_options_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not shelves"):
        DOMAIN.build(settings(shelves=3))
    with pytest.raises(ConfigError, match="shelf = 3"):
        DOMAIN.build(settings(shelf=3))


def made_up(sums: dict[str, str]) -> tuple[fetching.Source, ...]:
    return (
        fetching.Source(
            title="a made-up book", file="made.up", command=("no-such-program", "fetch"), url="http://127.0.0.1:9/made.up",
            unpack=lambda path: {"one": path.read_text()}, sums=sums,
        ),
    )  # fmt: skip


ONE = {"one": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}


def test_fetching_takes_what_lies_there_and_checks_it(tmp_path: Path) -> None:
    (tmp_path / "made.up").write_text("one")
    told: list[str] = []
    (path,) = fetching.fetch_books(tmp_path, told.append, made_up(ONE))
    assert path.read_text() == "one" and "unpacking" in told[0]
    told.clear()
    fetching.fetch_books(tmp_path, told.append, made_up(ONE))
    assert told == [f"{tmp_path} has a made-up book"]
    with pytest.raises(InputFileError, match="SHA-256"):
        fetching.fetch_books(tmp_path, told.append, made_up({"one": "0" * 64}))


def test_fetching_says_what_to_do_by_hand(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"no no-such-program; the mirror cannot be reached .* by hand, put the file into"
    ):
        fetching.fetch_books(tmp_path, lambda line: None, made_up(ONE))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot make"):
        fetching.fetch_books(tmp_path / "file" / "folder", lambda line: None, made_up(ONE))


def test_there_is_nothing_to_fetch_for_others() -> None:
    done = CliRunner().invoke(app, ["fetch", "chip"])
    assert done.exit_code == 2 and "nothing to fetch for 'chip'" in done.stderr
