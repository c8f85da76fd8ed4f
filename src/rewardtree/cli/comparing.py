"""What commands that carry out studies share: reading the configuration, telling how far they are, printing figures."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rewardtree.cli.run import pairs
from rewardtree.studies.config import read_config
from rewardtree.studies.run import REPORT
from rewardtree.studies.study_config import parse_study


def carry_out(
    run: Callable[..., dict[str, Any]],
    file: Path,
    out: Path | None,
    flags: Mapping[str, Any],
    words: list[str],
    *,
    parse: Callable[[Mapping[str, Any]], Any] = parse_study,
    show: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Run with a configuration, then print what came of it.

    Args:
        run: carries out a configuration in a folder.
        file: the configuration.
        out: the folder.
        flags: values that come over the file's, where they are not None.
        words: NAME=VALUE, over both.
        parse: checks the configuration.
        show: prints results; those of a study or sandwich if not given.
    """
    given = pairs(words, read_config(file) | {name: value for name, value in flags.items() if value is not None})
    config, folder, begun = parse(given), out or Path("runs") / file.stem, time.monotonic()

    def watch(key: str, done: int, jobs: int) -> None:
        spent = time.monotonic() - begun
        left = spent / done * (jobs - done)
        print(f"{done} of {jobs}  {key}  {spent:.0f} s, about {left:.0f} s left", flush=True)

    try:
        results = run(config, folder, watch)
    except KeyboardInterrupt:
        print(f"\nStopped; what was finished is kept. Give the same command to go on in {folder}.", file=sys.stderr)
        raise
    (show or _print)(results)
    print(f"The report is {folder / REPORT}")


def _print(results: Mapping[str, Any]) -> None:
    """The main figures as tables."""
    console = Console()
    if results["kind"] == "sandwich":
        table = Table("evaluator", "right", "readings", "true reward of its policy", box=None)
        for name, found in results["conditions"].items():
            table.add_row(name, _range(found["accuracy"]), _range(found["readings"], ".1f"),
                          _range((results["true_reward"] or {}).get(name)))  # fmt: skip
        console.print(table, f"gap recovered: {_range(results['gap_recovered'])}", sep="\n")
        return
    for budget in map(str, results["budgets"]):
        table = Table(f"{budget} labels a node", "true reward", "labels", "seconds", box=None)
        for found in results["schemes"].values():
            row = found["by_budget"].get(budget)
            if row:
                table.add_row(found["title"], _range(row["true_reward"]), _range(row["labels"], ".0f", ends=False),
                              _range(row["seconds"], ".0f", ends=False))  # fmt: skip
        console.print(table)
    if results["ladder"]:
        names = ("unaided_optimum", "unaided", "assisted", "root_accuracy", "expert_root_accuracy")
        table = Table("task", "depth", *(name.replace("_", " ") for name in names), "seconds", box=None)
        for row in results["ladder"]:
            shown = [_range(row[name], ".3f", ends=False) for name in names]
            table.add_row(row["task"], str(row["depth"]), *shown, _range(row["seconds"], ".0f", ends=False))
        console.print(table)


def _range(estimate: Any, style: str = ".3f", ends: bool = True) -> str:
    if isinstance(estimate, float | int):
        return format(estimate, style)
    if not isinstance(estimate, Mapping) or estimate.get("mean") is None:
        return str(estimate) if isinstance(estimate, str) else "-"
    mean = format(estimate["mean"], style)
    if not ends or estimate.get("low") is None:
        return mean
    return f"{mean} ({estimate['low']:{style}} to {estimate['high']:{style}})"
