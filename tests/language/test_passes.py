"""Passes: a shared beginning computed once gives what whole rows give, and so do gradients and generation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.language.encoding import PAD, Encoder, lengths, padded
from rewardtree.language.passes import (
    Sampling,
    final_states,
    generate,
    grouped,
    in_buckets,
    log_probabilities,
    token_log_probabilities,
    under,
)
from rewardtree.language.references import LanguageModel, LoRA, ModelRef, load


@pytest.fixture(scope="module", params=[None, LoRA(rank=2)], ids=["full", "adapters"])
def model(request: pytest.FixtureRequest, tiny: Path) -> LanguageModel:
    return load(ModelRef(name=str(tiny)), adapters=request.param)


PROMPTS = ["the captain said that his aunt was at the abbey"] * 3 + ["why"] + ["her sister in the morning rain"] * 2
OUTPUTS = [" yes", " no, the colonel walked", "", " not good", " old", " new and short and long"]


def weights_of(model: LanguageModel) -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(3)
    return {n: v + 0.05 * torch.randn(v.shape, generator=chance) for n, v in model.initial(chance).items()}


def alone(net: object, rows: np.ndarray, begins: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Last states and log-probabilities, a whole row at a time."""
    states, found = [], []
    for row, begin in zip(rows, begins, strict=True):
        ids = torch.as_tensor(row[row != PAD]).long()[None]
        states.append(net.get_decoder()(input_ids=ids).last_hidden_state[0, -1])  # type: ignore[attr-defined]
        logits = torch.log_softmax(net(input_ids=ids).logits[0], -1)  # type: ignore[operator]
        found.append(logits[begin - 1 : -1].gather(1, ids[0, begin:, None]).sum())
    return torch.stack(states), torch.stack(found)


def test_shared_beginnings_change_no_result_and_no_gradient(model: LanguageModel) -> None:
    encoder = Encoder(model=model)
    rows, begins = encoder.rows(PROMPTS, OUTPUTS), np.array([len(p) for p in encoder.prompts(PROMPTS)])
    groups = grouped(rows)
    assert groups.group.tolist() == [0, 0, 0, 1, 2, 2]
    assert groups.shared[0] >= begins[0] and groups.shared[1] == 0
    leaves = {n: v.requires_grad_() for n, v in weights_of(model).items()}

    def gradients(states: torch.Tensor, chances: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad(states.square().mean() + chances.sum(), list(leaves.values())))

    together = under(model, leaves, final_states, rows), under(model, leaves, log_probabilities, rows, begins)
    apart = under(model, leaves, alone, rows, begins)
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    for one, other in zip(gradients(*together), gradients(*apart), strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def test_tokens_add_up_to_outputs(model: LanguageModel) -> None:
    encoder = Encoder(model=model)
    rows, begins = encoder.rows(PROMPTS, OUTPUTS), np.array([len(p) for p in encoder.prompts(PROMPTS)])
    each, row = token_log_probabilities(model.net, rows, begins)
    assert np.bincount(row).tolist() == (lengths(rows) - begins).tolist()
    total = log_probabilities(model.net, rows, begins)
    assert torch.allclose(torch.stack([each[torch.as_tensor(row == r)].sum() for r in range(6)]), total, atol=1e-5)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1), min_size=1, max_size=4)), min_size=1, max_size=9)
)
def test_groups_share_what_they_say(drawn: list[tuple[int, list[int]]]) -> None:
    rows = padded([[9] * 3 + [10 + prompt] * 5 + rest for prompt, rest in drawn])
    groups = grouped(rows)
    assert (np.diff(groups.group) >= 0).all() and (np.diff(groups.group) <= 1).all()
    for group, shared in enumerate(groups.shared):
        mine = rows[groups.group == group]
        assert (mine[:, :shared] == mine[0, :shared]).all() and (lengths(mine) > shared).all()


def test_a_common_opening_does_not_hide_longer_ones() -> None:
    opening, first, second = [7] * 5, [1] * 20, [2] * 20
    rows = padded([[*opening, *first, 5], [*opening, *first, 6], [*opening, *second, 5], [*opening, *second, 6]])
    assert grouped(rows).shared.tolist() == [25, 25]
    different = padded([[*opening, token, token, 3] for token in (10, 11, 12)])
    assert grouped(different).shared.tolist() == [5], "where prompts differ, what they have in common is shared"


def test_buckets_keep_the_order(model: LanguageModel) -> None:
    rows = Encoder(model=model).rows(PROMPTS, OUTPUTS)
    whole = final_states(model.net, rows).detach()
    for tokens in (1, 60, 10_000):
        found = in_buckets(rows, lambda some, chosen: final_states(model.net, some), tokens=tokens)
        assert torch.allclose(found, whole, atol=1e-4)


def test_the_likeliest_output_is_the_one_that_transformers_generates(model: LanguageModel) -> None:
    encoder = Encoder(model=model)
    prompts = encoder.prompts(["the captain said", "the captain said", "no"])
    found = generate(model.net, padded(prompts), Sampling(tokens=8, temperature=0.0), model.end, torch.Generator())
    for row, prompt in zip(found, prompts, strict=True):
        ids = torch.tensor([prompt])
        theirs = model.net.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        assert row[row != PAD].tolist() == theirs[0, len(prompt) :].tolist()


def test_samples_follow_the_distribution(model: LanguageModel) -> None:
    prompt = Encoder(model=model).prompts(["the captain"])[0]
    sampling, chance = Sampling(tokens=1, temperature=0.7), torch.Generator().manual_seed(0)
    found = generate(model.net, padded([prompt] * 4000), sampling, model.end, chance)[:, 0]
    with torch.inference_mode():
        expected = torch.softmax(model.net(input_ids=torch.tensor([prompt])).logits[0, -1] / 0.7, 0).numpy()
    seen = np.bincount(found, minlength=len(expected)) / 4000
    assert np.abs(seen - expected).sum() / 2 < 0.1  # 0.07 expected of a multinomial over these tokens
    again = generate(model.net, padded([prompt] * 4000), sampling, model.end, torch.Generator().manual_seed(0))[:, 0]
    assert (found == again).all()
