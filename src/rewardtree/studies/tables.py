"""Figures of a study as Parquet files, exactly as they were measured, for pandas, Polars, DuckDB or R.

`runs.parquet` has a row a run; `evaluators.parquet`, beside it, a row a run, level and condition; the depth ladder's
table has a row a task, depth and seed. Columns are typed; the schema's number is in the file's metadata under
`rewardtree.schema`. What has no column of its own is kept as JSON in the column `more`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rewardtree import __version__
from rewardtree.errors import ConfigError, RunError

SCHEMA = 2
EVALUATORS = "evaluators.parquet"
Kind = Literal["text", "whole", "real"]
RUNS: Mapping[str, Kind] = {
    "scheme": "text",
    "title": "text",
    "task": "text",
    "seed": "whole",
    "budget": "whole",
    "labels": "whole",
    "readings": "whole",
    "demonstrations": "whole",
    "verdicts": "whole",
    "seconds": "real",
    "true_reward": "real",
    "true_reward_error": "real",
    "reward_model_sees": "text",
    "evaluator": "text",
    "depth": "whole",
    "failed": "text",
}
LADDER: Mapping[str, Kind] = {
    "task": "text",
    "depth": "whole",
    "seed": "whole",
    "unaided_optimum": "real",
    "unaided": "real",
    "assisted": "real",
    "root_accuracy": "real",
    "expert_root_accuracy": "real",
    "root_accuracy_output": "real",
    "expert_root_accuracy_output": "real",
    "labels": "whole",
    "seconds": "real",
    "why": "text",
}
KEYS = ("task", "scheme", "seed", "budget")
ACCURACY: Mapping[str, Kind] = {name: RUNS[name] for name in KEYS} | {
    "level": "text",
    "condition": "text",
    "accuracy": "real",
}
NESTED = "evaluator_accuracy"

Row = Mapping[str, Any]


def write_parquet(facts: Sequence[Row], path: Path) -> None:
    """Write a study's facts: a table of runs, and `evaluators.parquet` beside it.

    Args:
        facts: one a scheme, seed and budget, as `rewardtree.studies.study_report` takes them.
        path: of the table of runs, such as `runs.parquet`.

    Raises:
        RunError: where a figure does not fit its column, or a file cannot be written.
        ConfigError: where `pyarrow` is missing.
    """
    runs = [{name: value for name, value in fact.items() if name != NESTED} for fact in facts]
    levels = [
        {name: fact.get(name) for name in KEYS} | {"level": level, "condition": condition, "accuracy": accuracy}
        for fact in facts
        for level, conditions in (fact.get(NESTED) or {}).items()
        for condition, accuracy in conditions.items()
    ]
    _write(levels, ACCURACY, "evaluators", path.with_name(EVALUATORS))
    _write(runs, RUNS, "runs", path)


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Read what `write_parquet` wrote; what a fact did not have is None.

    Raises:
        RunError: where a file is missing, broken, or of another version.
        ConfigError: where `pyarrow` is missing.
    """
    facts = [fact | {NESTED: {}} for fact in _read(path, "runs")]
    by_key = {tuple(fact[name] for name in KEYS): fact for fact in facts}
    for row in _read(path.with_name(EVALUATORS), "evaluators"):
        fact = by_key.get(tuple(row[name] for name in KEYS))
        if fact is None:
            raise RunError(f"{path.with_name(EVALUATORS)} is not of the runs in {path}; keep the two files together")
        fact[NESTED].setdefault(row["level"], {})[row["condition"]] = row["accuracy"]
    return facts


def write_ladder(rows: Sequence[Row], path: Path) -> None:
    """Write the depth ladder's rows.

    Raises:
        RunError: where a figure does not fit its column, or the file cannot be written.
        ConfigError: where `pyarrow` is missing.
    """
    _write(rows, LADDER, "ladder", path)


def read_ladder(path: Path) -> list[dict[str, Any]]:
    """Read what `write_ladder` wrote.

    Raises:
        RunError: where the file is missing, broken, or of another version.
        ConfigError: where `pyarrow` is missing.
    """
    return _read(path, "ladder")


def _write(rows: Sequence[Row], columns: Mapping[str, Kind], table: str, path: Path) -> None:
    pa, parquet = _arrow()
    types = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()] + [("more", pa.string())])
    about = {"schema": str(SCHEMA), "table": table, "version": __version__}
    schema = schema.with_metadata({f"rewardtree.{name}": text for name, text in about.items()})
    arrays: dict[str, list[Any]] = {
        name: [_fit(row.get(name), kind, name) for row in rows] for name, kind in columns.items()
    }
    rest = [{name: value for name, value in row.items() if name not in columns} for row in rows]
    arrays["more"] = [json.dumps(row, sort_keys=True) if row else None for row in rest]
    partial = path.with_name(path.name + ".partial")
    try:
        parquet.write_table(pa.table(arrays, schema=schema), partial)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}; give a path that can be written") from error


def _fit(value: Any, kind: Kind, name: str) -> Any:
    """The value in its column's type, unless it would be another value there."""
    if value is None:
        return None
    wanted: type = {"text": str, "whole": int, "real": float}[kind]
    try:
        same = wanted(value) if isinstance(value, str) == (kind == "text") else None
    except (TypeError, ValueError, OverflowError):
        same = None
    if same is None or (same != value and value == value) or (kind == "whole" and abs(same) >= 2**63):
        raise RunError(f"{name} = {value!r} does not fit its column of {kind} values; mend what measured it")
    return same


def _read(path: Path, table: str) -> list[dict[str, Any]]:
    pa, parquet = _arrow()
    try:
        found = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; run the study again") from error
    about = {key.decode(): text.decode() for key, text in (found.schema.metadata or {}).items()}
    if about.get("rewardtree.table") != table or about.get("rewardtree.schema") != str(SCHEMA):
        version = f"{about.get('rewardtree.table')} of schema {about.get('rewardtree.schema')}"
        raise RunError(
            f"{path} holds {version}, not {table} of schema {SCHEMA}; read it with the version that wrote it"
        )
    rows = []
    for row in found.to_pylist():
        more = row.pop("more")
        rows.append(row | (json.loads(more) if more else {}))
    return rows


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need the package pyarrow; pip install 'rewardtree[study]'") from error
    return pa, parquet
