"""Engines that are processes of their own, by contract: what they read, how they ask for rewards, how they end."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewardtree.errors import ConfigError, LanguageError, RewardtreeError, RunError
from rewardtree.language.encoding import PAD, Encoder
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef, described, load
from rewardtree.policies.engines import fit
from rewardtree.policies.training import Launch, Method, Texts, Training
from tiny_language import needs_lm, tiny_model

pytest.importorskip("fastapi", reason="needs the extra: pip install 'rewardtree[judge]'")
STAND_IN = Path(__file__).with_name("engine_stand_in.py")
PROMPTS = ["the captain", 'her sister\'s "aunt", at 5', "why\nnot?", "who walked to the park", "no"]
TEXTS = Texts(prompts=PROMPTS)
STEPS = 4


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    needs_lm()
    return ModelRef(name=str(tiny_model(tmp_path_factory.mktemp("outside"))))


class Counting:
    """The sum of a row's tokens, over a thousand; above OpenRLHF's clip for the cut output."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        found = [[int(token) for token in row if token != PAD] for row in rows]
        self.rows += found
        return np.array([20.0 if row[-1] != 1 else sum(row) / 1000 for row in found])


def training(folder: Path, engine: Any = "verl", **given: Any) -> Training:
    launch = Launch(command=(sys.executable, str(STAND_IN)), checkpoint=1)
    how = Training(folder=folder / "new", engine=engine, steps=STEPS, prompts=2, samples=2, launch=launch,
                   sampling=Sampling(tokens=5))  # fmt: skip
    return replace(how, **given)


@pytest.mark.parametrize(("engine", "method"), [("verl", "rloo"), ("openrlhf", "grpo")])
def test_an_engine_elsewhere_is_told_all_and_scored_by_ids(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Any, method: Method
) -> None:
    how, scorer = training(tmp_path, engine, method=method), Counting()
    monkeypatch.setenv("STAND_IN_DIES_AT", "3")
    with pytest.raises(LanguageError, match=rf"{engine} ended with signal 9 \(OutOfMemory: no room\); .*log\.txt"):
        fit(ref, TEXTS, scorer, how)
    work = how.folder / "engine"
    assert len((work / "rewards.jsonl").read_text().splitlines()) == 3
    assert not (work / "scorer.json").exists() and not (how.folder / "config.json").exists()

    monkeypatch.delenv("STAND_IN_DIES_AT")
    found = fit(ref, TEXTS, scorer, how)
    told = [json.loads(line) for line in (work / "rewards.jsonl").read_text().splitlines()]
    assert len(told) == STEPS + 1, "it went on from its checkpoint: the step it died in is the only one done again"

    encoder = Encoder(model=described(ref))
    prompts = encoder.prompts(PROMPTS)
    ends = {(40, 41, encoder.model.end), (50, 51, 52, 53, 54)}
    assert {tuple(row) for row in scorer.rows} == {(*prompt, *own) for prompt in prompts for own in ends}
    rewards = {sum([*prompt, 40, 41, 1]) / 1000 for prompt in prompts} | {20.0}
    assert {round(one, 6) for row in told for one in row} == {round(one, 6) for one in rewards}

    before, after = load(ref).net.state_dict(), load(found).net.state_dict()
    moved = {name: float((after[name] - before[name]).abs().max()) for name in before}
    assert max(moved.values()) == pytest.approx(0.01 * STEPS, abs=1e-6)
    assert found.version == f"untrained/{method}" and not (work / "checkpoints").exists()

    asked = len(scorer.rows)
    assert fit(ref, TEXTS, scorer, how) == found and len(scorer.rows) == asked, "what is done is not done again"
    with pytest.raises(RunError, match="holds another training; choose another folder"):
        fit(ref, TEXTS, scorer, replace(how, steps=9))


def test_prompts_that_an_engine_reads_otherwise_end_it(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FORGETS", "yes")
    with pytest.raises(LanguageError, match=r"status 1 \(RuntimeError: the scorer refuses \(500\): .*other tokens"):
        fit(ref, TEXTS, Counting(), training(tmp_path, "openrlhf"))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"launch": None}, ConfigError, "the engine verl is a process of its own; say as launch how to start Python"),
        ({"launch": Launch(command=("/no/such/python",))}, LanguageError, r"cannot start /no/such/python \(No"),
        ({"launch": Launch(command=(sys.executable, "-c", "pass"))}, LanguageError, "verl ended without a model; see"),
        ({"launch": Launch(command=("python",), host="192.0.2.1")}, LanguageError, "cannot listen at 192.0.2.1"),
        ({"method": "sft"}, ConfigError, "the engine verl is used for rloo and grpo; choose trl or native for sft"),
        ({"prompts": 16}, ConfigError, "takes 16 different prompts a step and there are 5; give more, or lower"),
        ({"style": "plain"}, ConfigError, "use the style chat, or another engine"),
        ({"adapters": LoRA(rank=2)}, ConfigError, "leave adapters out"),
        ({"engine": "native"}, ConfigError, "choose rloo without launch, or the engine trl"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    ref: ModelRef, tmp_path: Path, given: dict[str, Any], error: type[RewardtreeError], words: str
) -> None:
    texts = Texts(prompts=PROMPTS, outputs=PROMPTS)
    with pytest.raises(error, match=words):
        fit(ref, texts, Counting(), training(tmp_path, **given))


def test_a_model_that_is_there_is_left_alone(ref: ModelRef, tmp_path: Path) -> None:
    tiny_model(tmp_path / "new")
    with pytest.raises(RunError, match="holds a model; choose another folder"):
        fit(ref, TEXTS, Counting(), training(tmp_path))
