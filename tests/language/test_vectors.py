"""Vectors of texts are computed once: what is kept is what the encoder gives, whole, and of this encoder alone."""

from pathlib import Path

import numpy as np
import pytest

from rewardtree.errors import LanguageError
from rewardtree.language import vectors as module
from rewardtree.language.passes import embed
from rewardtree.language.references import ModelRef, load_encoder
from rewardtree.language.vectors import vectors
from tiny_language import tiny_model

TEXTS = ["the captain said no", "her aunt", "the abbey and the park in the morning rain"]


def test_vectors_are_computed_once(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "cache"))
    ref = ModelRef(name=str(tiny))
    first = vectors(TEXTS, ref)
    assert np.allclose(first, embed(*load_encoder(ref), TEXTS), atol=1e-3)
    other = vectors(TEXTS, ModelRef(name=str(tiny_model(tmp_path / "other", seed=1))))
    assert not np.allclose(first, other, atol=0.1)
    monkeypatch.setattr(module, "load_encoder", lambda ref: pytest.fail("computed again"))
    assert np.array_equal(vectors(TEXTS, ref), first)
    with pytest.raises(pytest.fail.Exception):
        vectors([*TEXTS[:2], "another"], ref)
    monkeypatch.undo()
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "cache"))
    kept = list((tmp_path / "cache" / "vectors").iterdir())
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(path.read_bytes()[:-40])
    assert np.array_equal(vectors(TEXTS, ref), first), "what is damaged is computed anew"


def test_vectors_that_cannot_be_kept_are_said_so(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / "file"))
    with pytest.raises(LanguageError, match="set REWARDTREE_CACHE"):
        vectors(TEXTS, ModelRef(name=str(tiny)))
