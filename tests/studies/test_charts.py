import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from rewardtree.studies import charts
from rewardtree.studies.charts import Leaf, Mark, Scale, Series, scale_of
from rewardtree.studies.wording import both, interval, middle, number

SHARES = Scale(low=0.0, high=1.0, ticks=(0.0, 0.5, 1.0), style="share")


def known(mean: float, half: float = 0.0) -> dict[str, Any]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e3)), min_size=1, max_size=6),
)
def test_a_scale_holds_all_estimates_between_round_ends(found: list[tuple[float, float]]) -> None:
    estimates = [known(mean, half) for mean, half in found]
    scale = scale_of([*estimates, "undefined", None, {"mean": math.nan}])
    assert 2 <= len(scale.ticks) <= 9
    for estimate in estimates:
        assert scale.low <= estimate["low"] + 1e-6 and estimate["high"] - 1e-6 <= scale.high
        assert 0 <= scale.at(estimate["mean"]) <= 100


def test_marks_stand_where_their_values_are() -> None:
    svg = charts.track(SHARES, [Mark(known(0.5, 0.25), "assisted")], "a")
    assert 'class="mark k-assisted" x="50.00%"' in svg
    assert 'x1="27.00%" x2="73.00%"' in svg  # 4 % are kept free at both ends
    bar = charts.bar(scale_of([known(-1.0), known(1.0)]), known(-1.0), "loss")
    assert 'x="4.00%" width="46.00%"' in bar


def test_what_is_unknown_is_not_drawn() -> None:
    for estimate in ("undefined", None, {"mean": None, "low": None, "high": None}):
        svg = charts.track(SHARES, [Mark(estimate, "assisted")], "a")
        assert "mark" not in svg and "whisker" not in svg
    line = charts.lines(
        "t", [Series("a", "ideal", [(0.0, known(0.2)), (1.0, None), (2.0, known(0.6))])], SHARES, SHARES
    )
    assert line.count("mark k-ideal") == 2


def test_names_are_escaped() -> None:
    bad = '<b>&"'
    drawn = [
        charts.track(SHARES, [Mark(known(0.5), "ideal")], bad),
        charts.lines(bad, [Series(bad, "ideal", [(0.0, known(0.5))])], SHARES, SHARES, names=[bad]),
        charts.tree(bad, [Leaf(bad, [], known(0.5), None)], bad, SHARES),
    ]
    for svg in drawn:
        assert isinstance(svg, Markup) and "<b>" not in svg and "&lt;b&gt;&amp;" in svg


def places(svg: str) -> dict[str, tuple[float, float]]:
    """Middle and height of each node's box."""
    boxes = re.findall(r'class="node" x="([\d.]+)%" y="(\d+)".*?class="strong">([^<]+)<', svg)
    return {name: (float(x), float(y)) for x, y, name in boxes}


def test_helpers_stand_below_those_they_help_and_boxes_never_overlap() -> None:
    helpers = {
        "root": ["a", "b", "c"],
        "a": ["d", "e"],
        "b": ["e"],
        "c": ["f", "g"],
        "d": ["h"],
        "e": [],
        "f": [],
        "g": [],
        "h": [],
    }
    nodes = [Leaf(name, below, known(0.6), known(0.7) if below else None) for name, below in helpers.items()]
    found = places(charts.tree("t", nodes, "root", SHARES))
    assert set(found) == set(helpers)
    for name, below in helpers.items():
        assert all(found[helper][1] > found[name][1] for helper in below)
    widest = 4  # d, e, f, g
    for name, (x, y) in found.items():
        assert 100 / widest / 2 <= x + 1e-6 and x - 1e-6 <= 100 - 100 / widest / 2
        for other, (x2, y2) in found.items():
            assert name == other or y != y2 or abs(x - x2) >= 100 / widest - 0.02


@pytest.mark.parametrize(
    ("estimate", "style", "shown"),
    [
        (known(0.71234, 0.0141), "share", "71.2 % (69.8 to 72.6 %)"),
        (known(0.7, 0.2), "share", "70 % (50 to 90 %)"),
        (known(-13.949, 0.205), "plain", "\N{MINUS SIGN}13.95 (\N{MINUS SIGN}14.15 to \N{MINUS SIGN}13.74)"),
        (known(1234567.0), "count", "1,234,567"),
        (known(-0.0001, 0.2), "plain", "0.00 (\N{MINUS SIGN}0.20 to 0.20)"),
        (3.0, "plain", "3"),
        ("undefined", "share", "undefined"),
        (None, "share", "not measured"),
        ({"mean": math.inf}, "plain", "not measured"),
    ],
)
def test_estimates_in_words(estimate: Any, style: Any, shown: str) -> None:
    assert both(estimate, style).replace("\N{NO-BREAK SPACE}", " ") == shown


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_any_number_can_be_written(mean: float, half: float) -> None:
    for style in ("share", "plain", "count"):
        assert middle(known(mean, half), style) and isinstance(interval(known(mean, half), style), str)
        assert not number(mean, style).startswith("-")
