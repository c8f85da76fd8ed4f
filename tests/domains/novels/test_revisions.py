"""Draws are balanced, edits are planted everywhere alike, and the face of an answer says nothing of the truth."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from rewardtree.domains.novels.consistency import PLACES, ConsistencyTask, consistency_task
from rewardtree.domains.novels.facts import Draw, any_slot, by_thumb, fact_scenes
from rewardtree.domains.novels.nodes import Library
from rewardtree.domains.novels.planting import planted
from rewardtree.domains.novels.revisions import Revisions, draw, field_of
from rewardtree.domains.novels.words import names_of, stated
from rewardtree.tasks.exhibit import NO_CLAIMS


def test_shelves_hold_passages_outside_of_the_revised_part(drawn: Draw) -> None:
    revisions = drawn(np.random.default_rng(0), 40, "train")
    for row in range(len(revisions)):
        volume = revisions.volumes[revisions.volume[row]]
        shelf = revisions.shelf[row]
        assert (volume.section[shelf] != revisions.section[row]).all() and (np.diff(shelf) > 0).all()


def test_a_shelf_may_be_longer_than_the_book(books: Library) -> None:
    revisions = draw(books["test"], np.random.default_rng(0), 3, shelf=500)
    there = (revisions.shelf >= 0).sum(axis=1)
    assert revisions.shelf.shape == (3, 500) and (there > 100).all() and (there < 200).all()
    assert not field_of(revisions, np.zeros(3, dtype=int))[revisions.shelf < 0].any()


def sides(revisions: Revisions) -> Counter[tuple[str, str, bool]]:
    """How often a value is true and another is not, by kind."""
    found: Counter[tuple[str, str, bool]] = Counter()
    for row, column in np.argwhere(revisions.valid).tolist():
        asked = revisions.asked(row, column)
        if asked.kind == "title":
            first, second = sorted((asked.first, asked.second))
            true = asked.first if revisions.truth[row, column] > 0 else asked.second
            found[first, second, true == first] += 1
    return found


def test_of_two_values_either_is_true_as_often(books: Library) -> None:
    """Titles are three to a name but for one, so that an unbalanced draw would favour the commoner ones."""
    found = sides(draw(books["train"], np.random.default_rng(1), 3000, shelf=16))
    total = found.total()
    lead = sum(abs(found[a, b, True] - found[a, b, False]) for a, b, true in found if true) / total
    assert total > 3000 and lead < 0.06


def test_the_face_of_an_answer_is_no_clue(drawn: Draw) -> None:
    """A classifier of verdict, filling, kind and the two values themselves is at chance on a book it never saw."""
    task = consistency_task(drawn)

    def features(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(5)
        inputs = task.sample(rng, count, split)  # type: ignore[arg-type]
        outputs = task.base_outputs(rng, inputs)
        face = task.view(inputs, outputs, NO_CLAIMS).face
        return np.column_stack([face, np.ones(count)]), inputs.fields["differs"][np.arange(count), outputs.place]

    seen, differs = features("train", 3000)
    weights = np.linalg.lstsq(seen, differs, rcond=None)[0]
    seen, differs = features("test", 3000)
    right = ((seen @ weights > 0.5) == (differs > 0.5)).mean()
    assert abs(right - 0.5) < 0.03


def test_edits_are_planted_alike_in_the_whole_part(drawn: Draw) -> None:
    revisions = drawn(np.random.default_rng(2), 12, "test")
    for row in range(len(revisions)):
        volume = revisions.volumes[revisions.volume[row]]
        chapters = planted(revisions, row)
        says = {(one.kind, one.anchor): one.value for chapter in chapters for one in stated(chapter.text, volume.names)}
        for column in np.flatnonzero(revisions.valid[row]).tolist():
            asked = revisions.asked(row, column)
            if asked.kind != "surname":  # another slot may have changed the first name's own surname beside a title
                assert says[asked.key] == (asked.first if revisions.filled[row, column] > 0 else asked.second)
            assert any(mark.column == column for chapter in chapters for mark in chapter.marks)
        for chapter in chapters:
            if not revisions.edited[row][revisions.valid[row]].any():
                assert chapter.text == volume.book.chapters[chapter.chapter]


def test_a_negation_is_a_clause_and_no_title_is_left(books: Library) -> None:
    revisions = draw(books["test"], np.random.default_rng(3), 6, kinds=("negation",), shelf=32)
    for row in range(len(revisions)):
        (chapter, *_) = planted(revisions, row)
        volume = revisions.volumes[revisions.volume[row]]
        keys = {revisions.asked(row, column).key for column in np.flatnonzero(revisions.valid[row]).tolist()}
        assert not {(one.kind, one.anchor) for one in stated(chapter.text, volume.names)} & keys
        assert chapter.marks and all("body called" in chapter.text[m.start : m.end] for m in chapter.marks)


def test_the_rule_of_thumb_and_places_that_readers_find(drawn: Draw) -> None:
    rng = np.random.default_rng(4)
    revisions = drawn(rng, 200, "test")
    column = any_slot(revisions, rng)
    scenes = fact_scenes(revisions, column)
    said = by_thumb(scenes)
    read = scenes.fields["passage"][np.arange(200), said.place]
    assert (read != 0).mean() > 0.6 and set(np.unique(said.value)) <= {-1.0, 0.0, 1.0}
    for find in PLACES.values():
        places = find(revisions, column)
        assert (places >= 0).all() and (places < scenes.valid.shape[1]).all()
        assert np.array_equal(places[3:5], find(revisions.take(np.arange(3, 5)), column[3:5]))


def test_names_and_truth_are_the_books_own(books: Library, drawn: Draw) -> None:
    revisions = drawn(np.random.default_rng(6), 50, "validation")
    volume = books["validation"][0]
    assert names_of(volume.book.chapters) == volume.names
    key, value = volume.slots[revisions.slot, 0], volume.slots[revisions.slot, 1]
    true = np.where(revisions.truth > 0, revisions.first, revisions.second)
    assert (true == value)[revisions.valid].all() and (key >= 0).all()
    assert isinstance(consistency_task(drawn), ConsistencyTask)


READY = """
import hashlib, sys
from pathlib import Path
import numpy as np
from rewardtree.domains.novels.books import read_book
from rewardtree.domains.novels.volumes import volume_of
volume = volume_of(read_book(Path(sys.argv[1])))
fields = [getattr(volume, name) for name in volume.__dataclass_fields__]
print(hashlib.sha256(b"".join(one.tobytes() for one in fields if isinstance(one, np.ndarray))).hexdigest())
"""


def test_a_book_is_the_same_to_the_last_bit_in_every_process(folder: Path) -> None:
    """Words of a set come in another order in each process; sums over them must not."""
    found = {
        subprocess.run(
            [sys.executable, "-c", READY, str(sorted(folder.iterdir())[0])],
            env=os.environ | {"PYTHONHASHSEED": str(seed)}, check=True, capture_output=True,
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    assert len(found) == 1
