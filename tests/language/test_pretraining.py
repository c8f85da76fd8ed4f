"""A decoder from scratch: it learns, loads by its name, goes on where it was killed; and the counts it must beat."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from made_up_books import write_book
from rewardtree.errors import LanguageError
from rewardtree.language import pretraining
from rewardtree.language.encoding import Encoder
from rewardtree.language.perplexity import bigram, network, unigram
from rewardtree.language.pretraining import Recipe, pretrain
from rewardtree.language.references import ModelRef, digest_of, load
from tiny_language import needs_lm

SMALL = Recipe(vocabulary=384, width=32, layers=1, heads=2, context=64, rows=8, rate=1e-2)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("books") / "book.txt"
    write_book(path, 0, chapters=6)
    return path.read_text().replace("\n\n", "\n").split("Chapter ")[1:]


def test_it_learns_and_loads_by_its_name(texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_lm()
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path))
    with pytest.raises(LanguageError, match=r"train it, .* by: rewardtree pretrain novels"):
        load(ModelRef(name="decoder"))
    card = pretrain([texts[:5]] * 4, texts[5:], tmp_path / "decoder", SMALL)
    assert card["perplexity"] < 0.5 * card["unigram"] and card["bigram"] < card["unigram"]
    model = load(ModelRef(name="decoder", digest=digest_of(tmp_path / "decoder")))
    assert (model.end, model.tokenizer.pad_token_id, model.limit) == (1, 0, 64)
    assert sum(p.numel() for p in model.net.parameters()) == card["parameters"]
    encoder = Encoder(model=model)
    rows = encoder.rows(["It rained <|end|>"], ["all morning."])
    shown = model.tokenizer.decode(rows[0].tolist())
    assert shown == "<|user|>It rained <|end|><|end|><|assistant|>all morning.<|end|>"
    with torch.inference_mode():
        turn = torch.as_tensor(encoder.rows(["Nobody answered."], ["Then came the carriage."])).long()
        begins = model.net(input_ids=turn).logits[0].softmax(1)[:, 2:4].sum(1)
    assert begins[-1] > 4 * begins[-4:-1].max(), "after the end of a turn another one begins, elsewhere none"


def test_a_killed_training_goes_on_to_the_same_weights(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_lm()
    monkeypatch.setattr(pretraining, "EVERY", 2)
    pretrain([texts] * 2, texts[:1], tmp_path / "whole", SMALL)

    def killed(line: str) -> None:
        if line.startswith("step 4 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain([texts] * 2, texts[:1], tmp_path / "resumed", SMALL, killed)
    assert not (tmp_path / "resumed").exists()
    told: list[str] = []
    card = pretrain([texts] * 2, texts[:1], tmp_path / "resumed", SMALL, told.append)
    assert told[0].startswith("going on from step 4 of ")
    assert digest_of(tmp_path / "resumed") == digest_of(tmp_path / "whole")
    assert not (tmp_path / "resumed.training").exists()
    told.clear()
    assert pretrain([texts] * 2, texts[:1], tmp_path / "resumed", SMALL, told.append) == card
    assert not told, "what is there is kept"
    with pytest.raises(LanguageError, match="name another folder, or remove it"):
        pretrain([texts], texts[:1], tmp_path / "resumed", SMALL)


def test_too_little_text_is_said_so(tmp_path: Path) -> None:
    needs_lm()
    with pytest.raises(LanguageError, match="too little text"):
        pretrain([["Nothing."]], ["Nothing."], tmp_path / "none", SMALL)
    with pytest.raises(LanguageError, match="a width that its heads divide"):
        Recipe(width=33)


def test_counts_foretell_as_they_should() -> None:
    seen, text = np.array([0, 1, 0, 1, 0, 2, 0, 1]), np.array([0, 1, 0, 2])
    # Add-one counts 5, 4, 2 of 11 (a fourth token is never seen: 1 of 12), of the tokens after the first.
    assert unigram(seen, text, 4) == pytest.approx((12**3 / (4 * 5 * 2)) ** (1 / 3))
    # 0 is followed three times by 1, once by 2; 1 is followed twice by 0. Of four kinds of pairs two end in 0.
    ends = np.array([2, 1, 1, 0]) + 0.25
    ends /= ends.sum()
    chances = [(2.25 + 1.5 * ends[1]) / 4, (1.25 + 0.75 * ends[0]) / 2, (0.25 + 1.5 * ends[2]) / 4]
    assert bigram(seen, text, 4) == pytest.approx(math.exp(-np.log(chances).mean()))
    # A token that nothing follows falls back to which tokens follow others.
    assert bigram(seen, np.array([3, 0]), 4) == pytest.approx(1 / ends[0])


def test_a_networks_perplexity_counts_every_stretch() -> None:
    def net(input_ids: torch.Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, 4)
        logits[:, -2] = torch.tensor([9.0, -9.0, -9.0, -9.0])  # sure of token 0 at the end of each stretch
        return SimpleNamespace(logits=logits)

    text = np.array([1, 2, 3, 0, 1, 2, 0])  # stretches of 4 and 3 tokens: 5 are foretold, two of them surely
    assert network(net, text, 4) == pytest.approx(4 ** (3 / 5), rel=1e-4)
