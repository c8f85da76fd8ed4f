import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rewardtree.errors import RunError
from rewardtree.studies.tables import read_ladder, read_parquet, write_ladder, write_parquet

RUN: dict[str, Any] = {
    "scheme": "recursive_reward_modeling",
    "title": "Recursive reward modelling",
    "task": "permutation",
    "seed": 0,
    "budget": 4000,
    "labels": 4000,
    "readings": 2**53 + 1,
    "demonstrations": 0,
    "verdicts": 0,
    "seconds": 41.2,
    "true_reward": 0.1 + 0.2,
    "true_reward_error": 0.004,
    "evaluator_accuracy": {"level_0": {"unaided": 0.98, "expert": None}, "level_1": {"assisted": 1 / 3}},
    "reward_model_sees": "output and claims",
    "evaluator": "assisted",
    "depth": 3,
    "failed": None,
}
RUNG: dict[str, Any] = {
    "task": "permutation",
    "depth": 2,
    "seed": 1,
    "unaided_optimum": 0.75,
    "unaided": 0.7,
    "assisted": None,
    "root_accuracy": 1 / 3,
    "expert_root_accuracy": 0.9,
    "root_accuracy_output": None,
    "expert_root_accuracy_output": 0.1,
    "labels": 12,
    "seconds": 1.5,
    "why": "it was too hard",
}


def test_facts_come_back_exactly(tmp_path: Path) -> None:
    other = RUN | {"seed": 1, "true_reward": None, "evaluator_accuracy": {}, "failed": "no labels were left"}
    write_parquet([RUN, other], tmp_path / "runs.parquet")
    assert read_parquet(tmp_path / "runs.parquet") == [RUN, other]
    assert {path.name for path in tmp_path.iterdir()} == {"runs.parquet", "evaluators.parquet"}


def test_columns_are_typed_and_the_schema_is_numbered(tmp_path: Path) -> None:
    empty = RUN | {"true_reward": None, "failed": None, "labels": 7.0, "evaluator_accuracy": {}}
    write_parquet([empty], tmp_path / "runs.parquet")
    found = parquet.read_table(tmp_path / "runs.parquet")
    assert found.schema.field("true_reward").type == pa.float64()  # though there is none
    assert found.schema.field("failed").type == pa.string()
    assert found.column("labels").to_pylist() == [7] and found.schema.field("labels").type == pa.int64()
    assert found.schema.metadata[b"rewardtree.schema"] == b"2"
    levels = parquet.read_table(tmp_path / "evaluators.parquet")
    assert levels.num_rows == 0 and levels.schema.field("accuracy").type == pa.float64()


def test_every_level_and_condition_has_its_row(tmp_path: Path) -> None:
    write_parquet([RUN], tmp_path / "runs.parquet")
    rows = parquet.read_table(tmp_path / "evaluators.parquet").to_pylist()
    assert [(row["level"], row["condition"], row["accuracy"]) for row in rows] == [
        ("level_0", "unaided", 0.98),
        ("level_0", "expert", None),
        ("level_1", "assisted", 1 / 3),
    ]
    assert {(row["task"], row["scheme"], row["seed"], row["budget"]) for row in rows} == {
        ("permutation", "recursive_reward_modeling", 0, 4000)
    }


def test_nan_stays_nan_and_what_has_no_column_is_kept(tmp_path: Path) -> None:
    write_parquet([RUN | {"true_reward": math.nan, "notes": {"a": [1, 2]}}], tmp_path / "runs.parquet")
    (row,) = read_parquet(tmp_path / "runs.parquet")
    assert math.isnan(row["true_reward"]) and row["notes"] == {"a": [1, 2]}


def test_no_facts_are_an_empty_table(tmp_path: Path) -> None:
    write_parquet([], tmp_path / "runs.parquet")
    assert read_parquet(tmp_path / "runs.parquet") == []


def test_a_ladder_comes_back_exactly(tmp_path: Path) -> None:
    rows = [RUNG, RUNG | {"seed": 2, "why": None}]
    write_ladder(rows, tmp_path / "ladder.parquet")
    assert read_ladder(tmp_path / "ladder.parquet") == rows


@pytest.mark.parametrize(
    "wrong",
    [{"labels": 1.5}, {"labels": "many"}, {"labels": 2**63}, {"title": 3}, {"seconds": "1"}, {"depth": math.nan}],
)
def test_a_figure_that_would_change_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"{next(iter(wrong))} = .* does not fit"):
        write_parquet([RUN | wrong], tmp_path / "runs.parquet")


def test_broken_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    with pytest.raises(RunError, match="cannot read"):
        read_parquet(path)
    path.write_bytes(b"no table")
    with pytest.raises(RunError, match="cannot read"):
        read_parquet(path)
    write_ladder([RUNG], path)
    with pytest.raises(RunError, match="holds ladder of schema 2, not runs"):
        read_parquet(path)
    parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(RunError, match="holds None"):
        read_parquet(path)
    with pytest.raises(RunError, match="cannot write"):
        write_parquet([RUN], tmp_path / "nowhere" / "runs.parquet")


def test_evaluators_of_other_runs_are_refused(tmp_path: Path) -> None:
    write_parquet([RUN], tmp_path / "runs.parquet")
    kept = (tmp_path / "evaluators.parquet").read_bytes()
    write_parquet([RUN | {"seed": 5}], tmp_path / "runs.parquet")
    (tmp_path / "evaluators.parquet").write_bytes(kept)
    with pytest.raises(RunError, match="not of the runs"):
        read_parquet(tmp_path / "runs.parquet")
