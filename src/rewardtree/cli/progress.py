"""The screen of a run: what is being trained, how far it is, and what came of it."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rewardtree.studies.asked import given, taught, warnings
from rewardtree.studies.config import RunConfig
from rewardtree.studies.installed import find_domain
from rewardtree.studies.judged import told
from rewardtree.studies.places import LOOKS
from rewardtree.studies.readers import verdict

KINDS = ("unaided", "assisted")
ROOTS = 6
"""Times that a root is trained, one a protocol and variant."""


class Screen:
    """Live progress on a terminal; one plain line a finished iteration elsewhere.

    Args:
        config: of the run.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config, self._begun = config, time.monotonic()
        self._console = Console(stderr=False)
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._done, self._doing = 0, "starting"
        domain = find_domain(config.domain)
        names = domain.build(config.settings(config.seed)).nodes if config.options else domain.nodes
        self._helpers = len(names) - 1
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, record: Mapping[str, Any]) -> None:
        """Take in one progress record."""
        if "answers" in record:
            self._doing = f"seed {record['seed']}: {record['node']} waits for people: {record['answers']}"
            if not self._live:
                print(self._doing, flush=True)
        elif "protocol" not in record:
            self._doing = f"seed {record['seed']}: {record['doing']} {record.get('node', '')}".rstrip()
        else:
            self._done += 1
            self._doing = f"seed {record['seed']}: training"
            self._rows[(record["protocol"], record["node"])] = dict(record)
        if self._live:
            self._live.update(self._render())
        elif "protocol" in record:
            print(
                f"seed {record['seed']}  {record['protocol']:<34} {record['node']:<10} "
                f"iteration {record['iteration']}/{record['iterations']}  {_labels(record)} labels  "
                + "".join(f"{k} {record[f'{k}_accuracy']:.0%}  " for k in KINDS if f"{k}_accuracy" in record)
                + _reward(record, "true reward "),
                flush=True,
            )

    def _render(self) -> Group:
        table = Table("protocol", "node", "iteration", "labels", "unaided", "assisted", "true reward", box=None)
        for (protocol, node), row in list(self._rows.items())[-14:]:
            table.add_row(
                protocol,
                node,
                f"{row['iteration']}/{row['iterations']}",
                _labels(row),
                _share(row.get("unaided_accuracy")),
                _share(row.get("assisted_accuracy")),
                _reward(row),
            )
        return Group(table, Text(f"{self._doing} · {self._left()}", style="dim"))

    def _left(self) -> str:
        config, spent = self._config, time.monotonic() - self._begun
        helpers, roots = self._helpers, ROOTS if self._helpers else 1
        looks = [min(LOOKS, count) for count in (config.helper_iterations, config.root_iterations)]
        total = config.seeds * (helpers * looks[0] + roots * looks[1])
        if not self._done:
            return f"{spent:.0f} s"
        left = max(0.0, spent * (total / self._done - 1))
        return f"{self._done} of {total} iterations, {spent:.0f} s, about {left:.0f} s left"

    def finish(self, results: Mapping[str, Any], folder: Path) -> None:
        """Print the verdict and where the report is."""
        if self._live:
            self._live.update(Text(""))
            self._live.stop()
        if results.get("readers"):
            self._console.print(verdict(results))
        else:
            self._measured(results)
        for sentence in [*given(results), *told(results)]:
            self._console.print(sentence)
        for sentence in warnings(results):
            self._console.print(f"Warning: {sentence}", style="yellow")
        self._console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
        sys.stdout.flush()

    def _measured(self, results: Mapping[str, Any]) -> None:
        """Print what was measured by the true reward."""
        root = results["nodes"][results["root"]]["accuracy"]
        people = bool(results.get("answers"))
        table = Table(("simulated " if people else "") + "evaluator of the root", "right", box=None)
        for kind in ("unaided", "assisted", "ideal", "expert"):
            if kind in root:
                table.add_row(kind, _interval(root[kind], percent=True))
        rewards = Table("protocol", "evaluator", "reward model sees", "true reward", "labels", box=None)
        for found in results["protocols"].values():
            rewards.add_row(
                found["title"],
                found["evaluator"],
                found["reward_model_sees"],
                _interval(found["true_reward"]),
                f"{found['labels']['mean']:.0f}",
            )
        gap = results["gap_recovered"]
        self._console.print(Group(Text(""), table, Text(""), rewards, Text("")))
        whose = " of the simulated evaluator" if people else ""
        if gap:
            self._console.print(
                f"Gap recovered: accuracy{whose} {_interval(gap['accuracy'], percent=True)}, "
                f"true reward {_interval(gap['true_reward'], percent=True)}{taught(results, results['root'])}"
            )


def _reward(record: Mapping[str, Any], name: str = "") -> str:
    """The true reward, where there is one; else nothing."""
    return "" if record["true_reward"] is None else f"{name}{record['true_reward']:.2f}"


def _labels(record: Mapping[str, Any]) -> str:
    """Labels that were given, and of how many where that is fewer than were asked for."""
    given, asked = record["labels"], record.get("asked", record["labels"])
    return str(given) if given == asked else f"{given} of {asked}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _interval(estimate: Any, percent: bool = False) -> str:
    if not isinstance(estimate, Mapping) or estimate["mean"] is None:
        return "undefined"
    mean, low, high = (
        f"{estimate[part]:.1%}" if percent else f"{estimate[part]:.2f}" for part in ("mean", "low", "high")
    )
    return f"{mean} ({low} to {high})"
