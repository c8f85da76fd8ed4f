"""YAML as people write it."""

import pytest

from rewardtree.yaml_text import read_yaml


@pytest.mark.parametrize(("text", "value"), [("3e-4", 3e-4), ("-1E5", -1e5), (".5e+1", 5.0), ("2.e3", 2e3)])
def test_an_exponent_without_a_point_makes_a_number(text: str, value: float) -> None:
    assert read_yaml(f"rate: {text}") == {"rate": value}


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("1.5", 1.5), ("e4", "e4"), ("3e", "3e"), ("1e4f", "1e4f"), ("'3e-4'", "3e-4")]
)
def test_other_values_are_what_yaml_says(text: str, value: object) -> None:
    found = read_yaml(text)
    assert found == value and type(found) is type(value)
