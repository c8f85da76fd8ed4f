"""Passages, what words state, the reader's rule, and new names."""

import re

import numpy as np
import pytest

from rewardtree.domains.novels.books import Book
from rewardtree.domains.novels.facts import Draw, any_slot
from rewardtree.domains.novels.nodes import Library
from rewardtree.domains.novels.passages import passages, sentences
from rewardtree.domains.novels.reader import Asked, reading
from rewardtree.domains.novels.revisions import field_of
from rewardtree.domains.novels.swapping import new_names, pool, swapped
from rewardtree.domains.novels.words import amount, names_of, spelled, stated

NAMES = frozenset({"Wentworth", "Anne", "Elliot", "Kellynch", "Darcy", "Norris"})


def test_passages_have_at_most_sixty_words_and_leave_nothing_out() -> None:
    chapter = "Mr. Darcy bowed. " * 40 + "word " * 150 + "end.\n" + "\u201cWell!\u201d said Anne. " * 9
    found = passages(3, chapter)
    texts = [one.of(("", "", "", chapter)) for one in found]
    assert "".join(texts) == chapter and max(len(text.split()) for text in texts) == 60
    assert not any(text.strip().endswith("Mr.") for text in texts)


def test_sentences_end_at_points_but_not_after_mr() -> None:
    text = "Mr. Darcy came. \u201cAh!\u201d he said.\nShe went"
    assert [text[a:b] for a, b in sentences(text)] == ["Mr. Darcy came. ", "\u201cAh!\u201d ", "he said.\n", "She went"]


def test_what_words_state() -> None:
    text = "Captain Wentworth met Anne Elliot and aunt Norris at Kellynch Hall; Darcy had ten thousand a year."
    found = {(one.kind, one.anchor, one.value) for one in stated(text, NAMES)}
    assert {
        ("title", "m Wentworth", "Captain"), ("surname", "Anne", "Elliot"), ("kin", "Norris", "aunt"),
        ("place", "Kellynch", "Hall"), ("number", "year Darcy", "ten thousand"),
    } <= found  # fmt: skip
    assert all(one.kind == "number" or text[one.start : one.end] == one.value for one in stated(text, NAMES))


@pytest.mark.parametrize("number", [3, 17, 25, 40, 100, 365, 2000, 12345])
def test_numbers_in_words_and_back(number: int) -> None:
    assert amount(spelled(number)) == number
    assert amount("five and twenty") == 25


def test_the_readers_rule() -> None:
    asked = Asked(kind="title", anchor="m Wentworth", first="Captain", second="Colonel")
    said = {text: reading(asked, text, NAMES) for text in ("Captain Wentworth", "Colonel Wentworth", "Sir Wentworth")}
    assert list(said.values()) == [1.0, -1.0, -1.0]
    assert reading(asked, "Captain Darcy spoke to Wentworth.", NAMES) == 0.0
    negation = Asked(kind="negation", anchor="m Wentworth", first="Colonel", second="")
    assert reading(negation, "Captain Wentworth", NAMES) == -1.0


def test_a_field_is_the_rule_on_the_words(drawn: Draw) -> None:
    rng = np.random.default_rng(0)
    revisions = drawn(rng, 8, "test")
    column = any_slot(revisions, rng)
    field = field_of(revisions, column)
    for row in range(len(revisions)):
        volume = revisions.volumes[revisions.volume[row]]
        words = [volume.texts[passage] for passage in revisions.shelf[row].tolist()]
        asked = revisions.asked(row, int(column[row]))
        assert field[row].tolist() == [reading(asked, text, volume.names) for text in words]
    assert set(np.unique(field)) == {-1.0, 0.0, 1.0}


def test_new_names_change_nothing_that_is_stated(books: Library) -> None:
    book = books["train"][0].book
    names = names_of(book.chapters)
    new = new_names(book, np.random.default_rng(3))
    other = swapped(book, new)
    assert len(set(new.values())) == len(new) >= 15 and not set(new) & set(new.values())
    there = frozenset(new.get(name, name) for name in names)

    def facts(chapters: tuple[str, ...], known: frozenset[str]) -> list[tuple[str, int]]:
        return [(one.kind, chapter) for chapter, text in enumerate(chapters) for one in stated(text, known)]

    assert facts(book.chapters, names) == facts(other.chapters, there)
    assert not any(re.search(rf"\b{name}\b", text) for name in new for text in other.chapters)


def test_names_are_exchanged_in_capitals_and_plurals_too() -> None:
    book = Book(name="x", chapters=("ELLIOT and the Elliots, Elliot's house",))
    assert swapped(book, {"Elliot": "Lindsay"}).chapters == ("LINDSAY and the Lindsays, Lindsay's house",)


def test_the_list_of_names_is_curated() -> None:
    lists = pool()
    everyone = [name for sort, names in lists.items() if sort != "kept" for name in names]
    assert len(everyone) > 400 and all(re.fullmatch("[A-Z][a-z]+", name) for name in everyone)
    for sort, other in (
        ("family", "place"),
        ("woman", "man"),
        ("woman", "family"),
        ("man", "family"),
        ("man", "place"),
    ):
        assert not set(lists[sort]) & set(lists[other]), (sort, other)
