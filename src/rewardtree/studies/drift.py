"""Reward models held against what policies make of them: refreshed in every round, or frozen after one fit.

Every node is trained once a seed as ever; then, with the same helpers, once more on a reward model that is never
refreshed, and both are measured. It can be gone on with after any end, by the same command.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.diagnostics.distribution_shift import shifted
from rewardtree.diagnostics.freezing import frozen, refreshed
from rewardtree.diagnostics.reward_hacking import optimised, reference
from rewardtree.protocols.setting import Setting
from rewardtree.studies.drift_config import DriftConfig, measured
from rewardtree.studies.drift_report import write_drift_report
from rewardtree.studies.drift_results import drift_results
from rewardtree.studies.estimates import of_items
from rewardtree.studies.jobs import TREE, Place, Result, carried_out
from rewardtree.studies.run import REPORT
from rewardtree.studies.study import Jobs, Problem, Results, Watch, begun, carry_out, command_of, write_results
from rewardtree.tree.evaluating import judge_of
from rewardtree.tree.loop import helpers_of, train

FROZEN_MODEL = "frozen_reward_model"
"""The protocol under which comparisons of nodes with a frozen reward model are stored."""


def run_drift(config: DriftConfig, out: Path, watch: Watch) -> Results:
    """Carry out a configuration in a folder, or go on with it there.

    Args:
        config: what is trained, and which nodes are measured.
        out: the folder.
        watch: called with a job's name, the number of jobs done and of all jobs.

    Returns:
        What was written to `results.json`.

    Raises:
        RunError: where the folder belongs to something else, is in use, or cannot be written.
    """
    with begun(config, out, "drift") as jobs:
        keys = {
            (seed, name): key
            for seed in range(config.seed, config.seed + config.seeds)
            for name, key in entered(jobs, config, seed).items()
        }
        found, seconds = carry_out(jobs, out, watch)
        facts = [{"seed": seed, "node": name} | found[key]["facts"] for (seed, name), key in keys.items()]
        results = drift_results(
            facts, task=config.task or config.domain, config=config.to_show(), command=command_of("drift", out),
            seconds=seconds,
        )  # fmt: skip
        write_results(results, out)
        write_drift_report(results, out / REPORT)
        return results


def entered(jobs: Jobs, config: DriftConfig, seed: int) -> dict[str, str]:
    """Enter the jobs of a seed: all nodes, and for each that is measured one more; these by name."""
    problem: Problem = (config.task, config.depth)
    labels = config.labels[0]
    tree, trained = jobs.tree(problem, labels), jobs.nodes(problem, labels, seed)
    return {
        name: jobs.add(
            measure_drift, problem, labels, seed, name, name=f"drift-{name}",
            needs=[trained[below] for below in sorted(tree.below(name))],
        )
        for name in measured(config, tree)
    }  # fmt: skip


def measure_drift(place: Place, found: Mapping[str, Result]) -> Result:
    """Train a node on a frozen reward model, and measure it both ways; the rest was trained by other jobs."""

    def work(setting: Setting) -> Result:
        tree, name, config = setting.build(setting.settings).rooted(place.what), place.what, place.config
        node, training = tree.nodes[name], setting.training(TREE, tree, evaluators="assisted")
        nodes = train(training)
        below = {key: trained for key, trained in nodes.items() if key != name}
        once = setting.training(FROZEN_MODEL, tree, evaluators="assisted", borrowed=below)
        arms = {"refreshed": refreshed(training, name), "frozen": frozen(once, name, below)}
        helpers = helpers_of(tree, node, nodes)
        by = reference(node, nodes[name].untrained, helpers, config.test_inputs)
        hacking = {}
        for kind, arm in arms.items():
            steps = optimised(arm, by)
            hacking[kind] = [
                {"true": of_items(true), "predicted": of_items(predicted), "vain": of_items(predicted - true)}
                for true, predicted in zip(steps.true, steps.predicted, strict=True)
            ]
        experience = setting.experience(tree, node)
        judge = judge_of(experience, node, helpers, np.random.default_rng([place.seed, 3]))
        right = shifted((arms["refreshed"], arms["frozen"]), helpers, judge, experience.scale, config.test_pairs)
        shift: list[dict[str, Any]] = [{who: of_items(values) for who, values in step.items()} for step in right]
        return {"facts": {"depth": tree.depth(name), "hacking": hacking, "shift": shift}}

    return carried_out(place, found, work)
