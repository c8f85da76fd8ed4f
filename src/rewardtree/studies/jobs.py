"""The jobs of a study: one trains a node, one trains and measures a scheme, one measures evaluators.

Each has a folder of its own, in which it keeps what is finished, so it may be started again anywhere at any time.
What it needs from other jobs comes as their results: files of trained nodes, packed, and rows of the ledger.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.diagnostics.faults import Fault, plant, tampering
from rewardtree.errors import RunError
from rewardtree.preferences import open_store
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import of_items
from rewardtree.studies.installed import find_domain, find_protocol
from rewardtree.studies.places import write_whole
from rewardtree.studies.run import locked
from rewardtree.studies.seed import charged_to, ledger
from rewardtree.tree.evaluating import judge_of
from rewardtree.tree.loop import helpers_of, train
from rewardtree.tree.measure import accuracy, frozen_pairs, policy_rewards
from rewardtree.tree.node import Node, Tree

TREE = recursive_reward_modeling.NAME
PATIENCE = 20.0
"""Seconds in which a job waits for the end of a predecessor in its folder."""
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where and for what a job works.

    Attributes:
        config: of the tree.
        seed: all chance follows from it.
        key: the job's name.
        folder: the job's own.
        run: key of the study, which names its comparisons.
        what: the node, the scheme, or the nodes whose evaluators are measured.
        root: the node that one wants here, where it is not the tree's own root.
        fault: planted in a helper while a node is trained, if any.
    """

    config: RunConfig
    seed: int
    key: str
    folder: Path
    run: str
    what: str
    root: str | None = None
    fault: Fault | None = None


def train_node(place: Place, found: Mapping[str, Result]) -> Result:
    """Train one node by recursive reward modelling, with its helpers as other jobs have trained them."""

    def work(setting: Setting) -> Result:
        tree = setting.build(setting.settings)
        training = setting.training(TREE, tree.rooted(place.what), evaluators="assisted")
        if place.fault is not None:
            training = replace(training, tamper=tampering(plant(tree, place.fault, place.seed)))
        train(training)
        return {"files": packed(place.folder / TREE / place.what)}

    return carried_out(place, found, work)


def train_scheme(place: Place, found: Mapping[str, Result]) -> Result:
    """Train by one scheme, and measure the root on held-out inputs."""
    scheme = find_protocol(place.what)

    def work(setting: Setting) -> Result:
        tree = setting.build(setting.settings)
        facts = {
            "scheme": scheme.name, "title": scheme.title, "seed": place.seed, "depth": tree.depth(tree.root),
            "evaluator": "", "reward_model_sees": "", "evaluator_accuracy": {}, "failed": scheme.refuses(setting),
        }  # fmt: skip
        if facts["failed"] is not None:
            return {"facts": facts | {"true_reward": None}}
        begun = time.perf_counter()
        outcome = scheme.run(setting)
        facts["training_seconds"] = time.perf_counter() - begun
        return {"facts": facts | _measured(outcome, setting, place, found)}

    result = carried_out(place, found, work)
    if result["facts"]["failed"] is None:
        own = result["facts"].pop("training_seconds")
        result["facts"]["seconds"] = own + sum(borrowed["seconds"] for borrowed in found.values())
    return result


def _measured(outcome: Outcome, setting: Setting, place: Place, found: Mapping[str, Result]) -> dict[str, Any]:
    """What a scheme's root is worth, and what it cost."""
    root = outcome.tree.nodes[outcome.tree.root]
    rewards = of_items(policy_rewards(root, outcome.nodes[root.name].policy, place.config.test_inputs)[0])
    borrowed = [row for result in found.values() for row in result["ledger"]]
    rows = [row for row in [*ledger(setting.store), *borrowed] if charged_to(row, outcome)]
    checks = sum(trained.check_readings for trained in outcome.nodes.values())
    return {
        "true_reward": rewards["mean"],
        "true_reward_error": rewards["error"],
        "labels": sum(row["labels"] for row in rows),
        "readings": sum(row["readings"] for row in rows) + checks,
        "demonstrations": sum(row["demonstrations"] for row in rows),
        "verdicts": sum(row["verdicts"] for row in rows),
        "evaluator": outcome.evaluator,
        "reward_model_sees": outcome.reward_model_sees,
    }


def measure_evaluators(place: Place, found: Mapping[str, Result]) -> Result:
    """How often some nodes' evaluators are right on the same held-out pairs: unaided, assisted and as experts."""

    def work(setting: Setting) -> Result:
        tree = setting.build(setting.settings)
        nodes = train(setting.training(TREE, tree, evaluators="assisted"))
        facts = {}
        for name in place.what.split():
            node = tree.nodes[name]
            facts[name] = _evaluators(tree, node, setting, helpers_of(tree, node, nodes), place)
            rewards = policy_rewards(node, nodes[name].policy, place.config.test_inputs)[0]
            facts[name]["true_reward"] = of_items(rewards)
        return {"facts": facts}

    return carried_out(place, found, work)


def _evaluators(tree: Tree, node: Node, setting: Setting, helpers: Any, place: Place) -> dict[str, Any]:
    experience = setting.experience(tree, node)
    pairs = frozen_pairs(node, experience.scale, place.config.test_pairs)
    kinds: dict[str, tuple[Any, bool]] = {"unaided": ({}, False), "expert": ({}, True)}
    kinds |= {"assisted": (helpers, False)} if helpers else {}
    facts = {}
    for kind, (who, expert) in kinds.items():
        judge = judge_of(experience, node, who, np.random.default_rng([place.seed, 3]), expert=expert)
        begun = time.perf_counter()
        judged = accuracy(judge, node, pairs)
        facts[kind] = {
            "accuracy": of_items(judged.noisy),
            "noise_free": of_items(judged.noise_free),
            "readings": of_items(judged.readings),
            "seconds": (time.perf_counter() - begun) / len(pairs.difference),
            "pairs": len(pairs.difference),
        }
    return facts


def find_optimum(place: Place, found: Mapping[str, Result]) -> Result:
    """The best accuracy that any unaided evaluator can have at every node, where the domain can tell."""
    optimum = find_domain(place.config.domain).optimum
    assert optimum is not None

    def work(setting: Setting) -> Result:
        return {"facts": dict(optimum(setting.settings))}

    return carried_out(place, found, work)


def carried_out(place: Place, found: Mapping[str, Result], work: Any) -> Result:
    """Do a job in its folder; what a finished one left is read instead."""
    place.folder.mkdir(parents=True, exist_ok=True)
    kept = place.folder / "result.json"
    with locked(place.folder, patience=PATIENCE):
        if not kept.exists():
            for result in found.values():
                unpack(result.get("files", {}), place.folder)
            with _timed(place.folder / "seconds.json") as seconds, _setting(place) as setting:
                result = work(setting) | {"ledger": ledger(setting.store)}
            files = result.pop("files", {})
            result["files"] = sorted(files)
            write_whole(kept, json.dumps(result | {"seconds": seconds()}))
    found_again: Result = json.loads(kept.read_text())
    found_again["files"] = {name: (place.folder / name).read_bytes() for name in found_again["files"]}
    return found_again


@contextmanager
def _setting(place: Place) -> Iterator[Setting]:
    domain, config = find_domain(place.config.domain), place.config
    settings = config.settings(place.seed)
    name = f"{place.run}/{place.key}"
    with open_store(config.store or place.folder / "store.db", run=name) as store:
        yield Setting(
            build=lambda given: rooted(domain.build(given), place.root, claims=given.claims_in_reward),
            settings=settings,
            store=store,
            out=place.folder,
            schedule=config.schedule,
            decomposition=domain.decomposition(settings) if domain.decomposition else None,
        )


def rooted(tree: Tree, root: str | None, *, claims: bool = True) -> Tree:
    """The tree under a node, whose own reward model sees claims if it may; the whole tree where no node is named."""
    if root is None:
        return tree
    found = tree.rooted(root)
    own = found.nodes[root]
    if own.claims_in_reward and not claims:
        own = replace(own, claims_in_reward=False, warm_start=None)
    return replace(found, nodes={**found.nodes, root: own})


@contextmanager
def _timed(path: Path) -> Iterator[Any]:
    """Seconds of this attempt and of those before it that ended in an exception."""
    before = json.loads(path.read_text()) if path.exists() else 0.0
    begun = time.perf_counter()

    def seconds() -> float:
        return float(before + time.perf_counter() - begun)

    try:
        yield seconds
    finally:
        write_whole(path, json.dumps(seconds()))


def packed(folder: Path) -> dict[str, bytes]:
    """The files of a trained node, by their paths in the job's folder."""
    root = folder.parent.parent
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".partial" not in str(path))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write packed files, an iteration's folder whole or not at all.

    Raises:
        RunError: where they cannot be written.
    """
    by_folder: dict[Path, dict[str, bytes]] = {}
    for name, content in files.items():
        by_folder.setdefault(Path(name).parent, {})[Path(name).name] = content
    for place, inside in by_folder.items():
        if (folder / place).is_dir():
            continue
        partial = folder / place.with_name(place.name + ".partial")
        try:
            partial.mkdir(parents=True, exist_ok=True)
            for name, content in inside.items():
                (partial / name).write_bytes(content)
            partial.rename(folder / place)
        except OSError as error:
            raise RunError(f"cannot write {partial}: {error}; free some space, then give the same command") from error
