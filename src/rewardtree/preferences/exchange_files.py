"""Rows of labels in files: JSONL and Parquet, read and written a portion at a time."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from rewardtree.errors import ConfigError, InputFileError, StoreError

Row: TypeAlias = Mapping[str, Any]
Kind = Literal["text", "whole", "real", "yes", "wholes", "bytes", "any"]
"""Type of a column; `any` is found from the first portion of rows, text where there are none."""
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
PORTION = 5000
"""Rows of a Parquet file's row group, and rows that are held at once."""


def format_of(path: Path) -> str:
    """`jsonl` or `parquet`, by the file's name.

    Raises:
        InputFileError: the name says neither.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputFileError(path, None, "its name says no format", f"name it {path.stem}.jsonl or {path.stem}.parquet")
    return FORMATS[path.suffix.lower()]


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a JSONL or Parquet file.

    Returns:
        Each row with its number: of the line, or of the row in a Parquet file, from 1.

    Raises:
        InputFileError: the file or a line cannot be read.
        ConfigError: `pyarrow` is missing, for Parquet.
    """
    yield from _read_parquet(path) if format_of(path) == "parquet" else _read_lines(path)


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    said = str(error).partition(":")[0]
                    raise InputFileError(path, number, f"is no JSON ({said})", "write one object a line") from error
                if not isinstance(row, dict):
                    raise InputFileError(path, number, f"is a {type(row).__name__}", "write one object a line")
                yield number, row
    except OSError as error:
        raise InputFileError(path, None, f"cannot be read ({error.strerror})", "give a file that is there") from error


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    pa, parquet = _arrow()
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PORTION):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise InputFileError(path, None, f"cannot be read ({first})", "give a Parquet file that is whole") from error


def write_rows(rows: Iterable[Row], path: Path, columns: Mapping[str, Kind]) -> int:
    """Writes rows as JSONL or Parquet, by the file's name; the file is there whole or not at all.

    Args:
        rows: with a value or None for each column.
        path: the file; one that is there is replaced.
        columns: and their types, for a Parquet file.

    Returns:
        How many rows.

    Raises:
        StoreError: the file cannot be written.
        InputFileError: its name says no format.
        ConfigError: `pyarrow` is missing, for Parquet.
    """
    kind = format_of(path)
    partial = path.with_name(path.name + ".partial")
    try:
        count = _write_parquet(rows, partial, columns) if kind == "parquet" else _write_lines(rows, partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror or error}; give a path that can be written") from error
    return count


def portions_of(rows: Iterable[Any], size: int = PORTION) -> Iterator[list[Any]]:
    """Cuts a stream into lists."""
    stream = iter(rows)
    while portion := list(islice(stream, size)):
        yield portion


def _write_lines(rows: Iterable[Row], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, default=_as_text, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _as_text(value: object) -> str:
    """Bytes in a line: base64."""
    from base64 import b64encode

    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no place in a line")


def _write_parquet(rows: Iterable[Row], path: Path, columns: Mapping[str, Kind]) -> int:
    pa, parquet = _arrow()
    types = {
        "text": pa.string(), "whole": pa.int64(), "real": pa.float64(), "yes": pa.bool_(),
        "wholes": pa.list_(pa.int64()), "bytes": pa.binary(),
    }  # fmt: skip
    portions = portions_of(rows)
    begin = next(portions, [])
    guessed = {field.name: field.type for field in pa.Table.from_pylist(begin).schema} if begin else {}
    typed = [(name, types.get(kind, guessed.get(name, pa.string()))) for name, kind in columns.items()]
    count, schema = 0, pa.schema(typed)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for portion in chain([begin], portions):
            writer.write_table(pa.Table.from_pylist(portion, schema=schema))
            count += len(portion)
    return count


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need the package pyarrow; pip install 'rewardtree[study]'") from error
    return pa, parquet
