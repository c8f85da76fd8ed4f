"""What an encoder adds to what policies see: both values alike, in any order, and nothing without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardtree.domains.novels.domain import DOMAIN
from rewardtree.domains.novels.facts import Draw
from rewardtree.domains.novels.features import passage_features
from rewardtree.domains.novels.meaning import phrase
from rewardtree.errors import ConfigError, LanguageError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget
from tiny_language import needs_lm, tiny_model


def settings(folder: Path, **options: object) -> Settings:
    budget = Budget(iterations=1, labels=20)
    return Settings(seed=0, helper=budget, root=budget, bounds=Bounds(), helper_updates=2, updates=2,
                    options={"books": str(folder), "shelf": 64, **options})  # fmt: skip


def test_likeness_is_seen_relative_to_the_shelf_and_the_values(drawn: Draw) -> None:
    revisions = drawn(np.random.default_rng(0), 30, "train")
    column = np.zeros(30, dtype=int)
    plain = passage_features(revisions, column)
    rng = np.random.default_rng(1)
    known = [rng.random(volume.looks.shape).astype(np.float16) for volume in revisions.volumes]
    volumes = tuple(
        replace(volume, likeness=lambda one=one: one) for volume, one in zip(revisions.volumes, known, strict=True)
    )
    with_it = replace(revisions, volumes=volumes)
    found = passage_features(with_it, column)
    assert found.shape[2] == plain.shape[2] + 2 and np.array_equal(found[:, :, :-2], plain)
    for row in range(30):
        volume, one = volumes[revisions.volume[row]], known[revisions.volume[row]].astype(float)
        pair = volume.pair[volume.slots[revisions.slot[row, 0], 0]]
        first, second = (
            one[pair + values[row, 0], revisions.shelf[row]] for values in (revisions.first, revisions.second)
        )
        assert (np.sign(found[row, :, -1]) == np.sign(first - second)).all()
        assert found[row, :, -2].argmax() == np.maximum(first, second).argmax()
        assert abs(found[row, :, -2].mean()) < 1e-3 and abs(found[row, :, -2].std() - 1) < 1e-3
    turned = replace(with_it, first=revisions.second, second=revisions.first)
    assert np.allclose(passage_features(turned, column)[:, :, -2:], found[:, :, -2:] * np.array([1, -1]), atol=1e-6)


def test_names_and_values_are_put_as_a_book_would() -> None:
    asked = [phrase(("title", "m Enfield"), "Captain"), phrase(("surname", "Alban"), "Isham"),
             phrase(("place", "Yarrow"), "Hall"), phrase(("number", "pound Isham"), "ten thousand")]  # fmt: skip
    assert asked == ["Captain Enfield", "Alban Isham", "Yarrow Hall", "Isham, ten thousand pound"]


def test_an_encoder_is_an_option_and_is_asked_when_books_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_lm()
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "cache"))
    encoder = tiny_model(tmp_path / "encoder")
    widths = []
    for options in ({}, {"encoder": str(encoder)}):
        task = DOMAIN.build(settings(folder, **options)).nodes["facts"].task
        scenes = [task.sample(np.random.default_rng(0), 8, "train") for _ in range(2)]
        assert np.array_equal(scenes[0].features, scenes[1].features)
        widths.append(scenes[0].features.shape[2])
    assert widths[1] == widths[0] + 2
    assert len(list((tmp_path / "cache" / "vectors").iterdir())) == 4, "two books to train on, with names and passages"
    missing = DOMAIN.build(settings(folder, encoder="./nowhere")).nodes["facts"].task
    with pytest.raises(LanguageError, match=r"there is no folder \./nowhere"):
        missing.sample(np.random.default_rng(0), 8, "train")
    with pytest.raises(ConfigError, match="give an encoder's name, such as minilm"):
        DOMAIN.build(settings(folder, encoder=3))
