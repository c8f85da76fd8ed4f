"""The meter grants what the budget allows, in order, and counts every use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.errors import BudgetError
from rewardtree.tasks.meter import Meter

requests = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6)


@given(budget=st.integers(0, 8), calls=requests)
def test_grants_in_order_until_nothing_is_left(budget: int, calls: list[list[bool]]) -> None:
    meter, left, used = Meter(1, budget=budget), budget, 0
    for call in calls:
        granted = meter.grant(np.array([call]))[0]
        for wanted, given_ in zip(call, granted, strict=True):
            assert given_ == (wanted and left > 0)
            left, used = left - int(given_), used + int(given_)
        assert meter.used.tolist() == [used]


@given(calls=requests)
def test_without_a_budget_everything_is_granted_and_counted(calls: list[list[bool]]) -> None:
    meter = Meter(1, budget=None)
    for call in calls:
        assert meter.grant(np.array([call]))[0].tolist() == call
    assert meter.used[0] == sum(map(sum, calls))


def test_comparisons_have_budgets_of_their_own() -> None:
    meter = Meter(3, budget=2)
    meter.grant(np.array([[True, True], [True, False], [False, False]]))
    assert meter.grant(np.ones((3, 2), dtype=bool)).tolist() == [[False, False], [True, False], [True, True]]
    assert meter.used.tolist() == [2, 2, 2]


def test_what_it_says_and_takes_cannot_be_changed_from_outside() -> None:
    meter, wanted = Meter(1, budget=None), np.array([[True]])
    meter.grant(wanted)[0, 0] = False
    assert wanted[0, 0]
    meter.used[0] = 0
    assert meter.used[0] == 1


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(BudgetError, match="-1"):
        Meter(1, budget=-1)
