"""Means over a grid, against the plain softmax."""

import numpy as np
import pytest
import torch

from rewardtree.policies.answering import SMOOTH, value_logits
from rewardtree.policies.means import peaked_means


@pytest.mark.parametrize("sharpness", [1e-6, 0.01, 0.7, 5.0, 60.0, 5e3])
def test_agrees_with_softmax(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    steps = np.linspace(0, 6.4, 257) / 0.15
    location = np.concatenate([rng.uniform(-20, 60, 500), steps[:9], [steps[-1], -1e4, 1e4]])
    before_softplus = sharpness if sharpness > 30 else np.log(np.expm1(sharpness))
    out = np.stack([np.zeros_like(location), location, np.full_like(location, before_softplus)], axis=1)
    logits = value_logits(torch.as_tensor(out), torch.as_tensor(steps))
    plain = (logits.softmax(-1) @ torch.as_tensor(steps)).numpy()
    found = peaked_means(location, np.full_like(location, sharpness), steps, SMOOTH)
    np.testing.assert_allclose(found, plain, atol=2e-3 if sharpness > 1e3 else 2e-4, rtol=1e-5)
