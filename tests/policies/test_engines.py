"""Engines: each method trains by either engine, scorers see whole outputs, and what is lacking is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardtree.errors import ConfigError
from rewardtree.language.encoding import PAD, Encoder
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef, load
from rewardtree.policies.engines import fit
from rewardtree.policies.training import Method, Texts, Training
from tiny_language import needs_lm, tiny_model

PROMPTS = ["the captain", "her sister", "why", "who walked to the park"]


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    needs_lm()
    return ModelRef(name=str(tiny_model(tmp_path_factory.mktemp("engines"), spread=0.05)))


def training(folder: Path, method: Method, engine: str) -> Training:
    found = Training(folder=folder / "out", method=method, steps=2, prompts=2, samples=2, rate=1e-2,
                     sampling=Sampling(tokens=5))  # fmt: skip
    return replace(found, engine=engine)


@pytest.mark.parametrize("engine", ["native", "trl"])
@pytest.mark.parametrize("method", ["rloo", "grpo", "sft", "dpo"])
def test_methods_train_by_either_engine(ref: ModelRef, tmp_path: Path, method: Method, engine: str) -> None:
    if engine == "trl":
        pytest.importorskip("trl", reason="needs the extra: pip install 'rewardtree[lm]'")
    elif method == "grpo":
        pytest.skip("TRL alone has it")
    before = load(ref)
    prompts = Encoder(model=before).prompts(PROMPTS)
    seen: list[list[int]] = []

    def scorer(rows: np.ndarray) -> np.ndarray:
        seen.extend([int(t) for t in row if t != PAD] for row in rows)
        return (rows % 2 == 0).mean(axis=1)

    texts = Texts(prompts=PROMPTS, outputs=[" good"] * 4, rejected=[" bad old"] * 4)
    found = fit(ref, texts, scorer if method in ("rloo", "grpo") else None, training(tmp_path, method, engine))
    assert found.version == f"untrained/{method}"
    after = load(found)
    moved = [not bool((a == b).all()) for a, b in zip(before.net.parameters(), after.net.parameters(), strict=True)]
    assert any(moved)
    for row in seen:
        prompt = next(p for p in prompts if row[: len(p)] == p)
        own = row[len(prompt) :]
        assert own[-1] == before.end or len(own) == 5, "an output that ended was scored without its end"
    assert bool(seen) == (method in ("rloo", "grpo"))


def test_adapters_by_trl_are_multiplied_out(ref: ModelRef, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="needs the extra: pip install 'rewardtree[lm]'")
    how = replace(training(tmp_path, "sft", "trl"), adapters=LoRA(rank=2))
    after = load(fit(ref, Texts(prompts=PROMPTS, outputs=[" good"] * 4), None, how))
    assert set(dict(after.net.named_parameters())) == set(dict(load(ref).net.named_parameters()))


def test_what_is_lacking_is_said(ref: ModelRef, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rloo needs a scorer"):
        fit(ref, Texts(prompts=PROMPTS), None, training(tmp_path, "rloo", "native"))
    with pytest.raises(ConfigError, match="dpo needs one of `rejected` a prompt"):
        fit(ref, Texts(prompts=PROMPTS, outputs=PROMPTS), None, training(tmp_path, "dpo", "native"))
    with pytest.raises(ConfigError, match="the native engine has no grpo"):
        fit(ref, Texts(prompts=PROMPTS), lambda rows: np.zeros(len(rows)), training(tmp_path, "grpo", "native"))
