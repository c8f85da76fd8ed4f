"""The class of estimators that simulated evaluators use: an additive ridge on piecewise-linear features."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of each feature at which its line may bend."""
STILL = 1e-9
"""A feature whose standard deviation is a smaller share of its size is constant, but for rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimator:
    """Estimates a reward, less the mean of such estimates over the outputs that it was fitted to.

    So estimates of two outputs can be compared though more is known of one than of the other.

    Attributes:
        knots: where each feature's line may bend, [knots, features].
        spread: divides each feature, [features].
        coefficients: of the feature itself and of its bends, [(1 + knots) * features].
        mean: of estimates before it is taken off.
    """

    knots: Float[np.ndarray, "knots features"]
    spread: Float[np.ndarray, " features"]
    coefficients: Float[np.ndarray, " terms"]
    mean: float = 0.0

    def __call__(self, features: Float[np.ndarray, "batch features"]) -> Float[np.ndarray, " batch"]:
        """The estimate of each output's reward."""
        estimate: Float[np.ndarray, " batch"] = expand(features, self.knots, self.spread) @ self.coefficients
        return estimate - self.mean


def expand(
    features: Float[np.ndarray, "batch features"],
    knots: Float[np.ndarray, "knots features"],
    spread: Float[np.ndarray, " features"],
) -> Float[np.ndarray, "batch terms"]:
    """Each feature and how far it is past each of its knots."""
    bends = np.maximum(features[:, None, :] - knots, 0.0) / spread
    line = (features - knots[len(knots) // 2]) / spread
    return np.concatenate([line, bends.reshape(len(features), -1)], axis=1)


def fit_estimator(
    first: Float[np.ndarray, "pairs features"],
    second: Float[np.ndarray, "pairs features"],
    difference: Float[np.ndarray, " pairs"],
    *,
    ridge: float = 1e-3,
) -> Estimator:
    """Fit the difference of two outputs' rewards to the difference of their features.

    Args:
        first: features of the first outputs.
        second: features of the second outputs of the same inputs.
        difference: true reward of the first less that of the second.
        ridge: penalty a pair, in units of the features' own variance.
    """
    both = np.concatenate([first, second])
    knots = np.quantile(both, KNOTS, axis=0)
    spread = both.std(axis=0)
    spread[spread <= STILL * np.abs(both).max(axis=0)] = np.inf
    each = expand(first, knots, spread), expand(second, knots, spread)
    terms = each[0] - each[1]
    gram = terms.T @ terms + ridge * len(terms) * np.eye(terms.shape[1])
    coefficients = np.linalg.solve(gram, terms.T @ difference)
    mean = float((each[0] @ coefficients).mean() + (each[1] @ coefficients).mean()) / 2
    return Estimator(knots=knots, spread=spread, coefficients=coefficients, mean=mean)
