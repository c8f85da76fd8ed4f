"""The configuration's edge: names, presets, errors that say what to do."""

from pathlib import Path

import pytest

from rewardtree.errors import ConfigError
from rewardtree.studies.config import PRESETS, RunConfig, parse, read_config
from rewardtree.studies.study_config import parse_study


def test_presets_come_under_what_is_given() -> None:
    assert parse({"preset": "full"}).helper_labels == PRESETS["full"]["helper_labels"]
    assert parse({"preset": "full", "helper_labels": 7}).helper_labels == 7


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'helper_labels'"):
        parse({"helper_label": 3})


def test_all_errors_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"budget": -1, "lapse": 2, "nonsense": 1})
    assert all(name in str(caught.value) for name in ("budget", "lapse", "nonsense"))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [", "1: 2"])
def test_broken_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        read_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "absent.yaml")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert parse(read_config(path)) == RunConfig()


def test_a_studys_report_tells_no_password() -> None:
    shown = parse_study({"settings": {"store": "postgresql://ada:hunter2@db.example/labels"}}).to_show()
    assert "hunter2" not in str(shown) and shown["settings"]["store"] == "postgresql://ada:***@db.example/labels"
