"""A model in this process as whoever completes prompts, and the model that is made from a configuration."""

from pathlib import Path

import pytest
import torch

from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language.completing import Complete, Message, Options
from rewardtree.language.embedded import embedded_folder
from rewardtree.language.endpoint import Endpoint
from rewardtree.language.local import Local
from rewardtree.language.named import named
from rewardtree.language.references import ModelRef, digest_of, load
from rewardtree.language.spending import noted
from tiny_language import needs_lm, tiny_model

PROMPTS = [(Message(role="user", content=text),) for text in ("say yes or no", "why", "the captain walked to the park")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_lm()
    return tiny_model(tmp_path_factory.mktemp("local"))


def test_verdicts_have_the_probabilities_of_their_first_tokens(tiny: Path, tmp_path: Path) -> None:
    model = load(ModelRef(name=str(tiny)))
    complete = Local(model=model, spent=tmp_path / "spent.jsonl")
    assert isinstance(complete, Complete)
    found = complete(PROMPTS, Options(verdicts=("yes", "no"), lead="so", purpose="node"))
    for prompt, one in zip(PROMPTS, found, strict=True):
        shown = model.tokenizer.apply_chat_template([{"role": "user", "content": prompt[0].content}], tokenize=False,
                                                    add_generation_prompt=True) + "so"  # fmt: skip
        ids = torch.tensor([model.tokenizer(shown, add_special_tokens=False)["input_ids"]])
        last = torch.log_softmax(model.net(input_ids=ids).logits[0, -1], -1)
        first = {word: model.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" yes", " no")}
        expected = {word: float(last[token]) for word, token in first.items()}
        assert one.tokens[1].top == pytest.approx(expected, abs=1e-3)
        assert one.text == "so" + max(expected, key=lambda word: expected[word]) == "".join(t.text for t in one.tokens)
        assert one.prompt_tokens == ids.shape[1]
    spent = noted(tmp_path / "spent.jsonl")["node"]
    assert spent.requests == 3 and spent.prompt_tokens == sum(one.prompt_tokens for one in found) and spent.cost == 0


def test_it_writes_and_refuses_what_it_cannot_read(tiny: Path) -> None:
    complete = Local(model=load(ModelRef(name=str(tiny))))
    first, again = (complete(PROMPTS, Options(max_tokens=5)) for _ in range(2))
    assert first == again and all(one.completion_tokens <= 5 for one in first) and len(first) == 3
    assert all((one.finish == "length") == (one.completion_tokens == 5) or one.finish == "stop" for one in first)
    with pytest.raises(LanguageError, match=r"leaves .* no room for an answer; show it less"):
        complete([(Message(role="user", content="captain " * 300),)], Options(max_tokens=5))
    with pytest.raises(LanguageError, match="begins two of the verdicts"):
        complete(PROMPTS, Options(verdicts=("yes", "yes"), lead="so"))


def test_the_model_that_is_made_here_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_lm()
    chance = torch.get_rng_state()
    digests = set()
    for place in ("a", "b"):
        monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path / place))
        digests.add(digest_of(embedded_folder("tiny")))
    assert len(digests) == 1 and torch.equal(torch.get_rng_state(), chance)
    assert not list(tmp_path.rglob("*.partial"))


def test_names_mean_endpoints_first_then_folders_then_the_hub(tiny: Path) -> None:
    here = {"smollm2": Endpoint(url="http://here/v1", model="m")}
    assert named("smollm2", here, where="x") is here["smollm2"]
    for name in ("smollm2", "tiny", str(tiny), "HuggingFaceTB/SmolLM2-135M"):
        assert named(name, {}, where="x") == ModelRef(name=name)
    wrong = {"minilm": "writes no words", "nobody": "names no language model", "./no/such": "no folder"}
    for name, words in wrong.items():
        with pytest.raises(ConfigError, match=words):
            named(name, {}, where="x")
