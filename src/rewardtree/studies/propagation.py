"""Following errors up a tree: faults of several rates and kinds in one helper, the levels above trained on them.

Levels below the faulty node and itself are trained once a seed; those above once a seed, kind of fault and rate, a job
each, with the level below as its job has trained it. It can be gone on with after any end, by the same command.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardtree.diagnostics.error_propagation import Chain, Measured, levels_from, measure
from rewardtree.diagnostics.faults import Fault, plant
from rewardtree.errors import RunError
from rewardtree.protocols.setting import Setting
from rewardtree.studies.estimates import of_items
from rewardtree.studies.jobs import TREE, Place, Result, carried_out, train_node
from rewardtree.studies.propagation_config import PropagationConfig
from rewardtree.studies.propagation_report import write_propagation_report
from rewardtree.studies.propagation_results import NONE, propagation_results
from rewardtree.studies.run import REPORT
from rewardtree.studies.study import Jobs, Problem, Results, Watch, begun, carry_out, command_of, write_results
from rewardtree.tree.loop import train


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One seed with one fault, or none, and the job that measures it."""

    seed: int
    fault: Fault | None
    measured: str


def run_propagation(config: PropagationConfig, out: Path, watch: Watch) -> Results:
    """Carry out a configuration in a folder, or go on with it there.

    Args:
        config: what is planted, and how levels are trained.
        out: the folder.
        watch: called with a job's name, the number of jobs done and of all jobs.

    Returns:
        What was written to `results.json`.

    Raises:
        RunError: where the folder belongs to something else, is in use, cannot be written, or was measured
            by an earlier version.
    """
    with begun(config, out, "error_propagation") as jobs:
        cases = [
            case for seed in range(config.seed, config.seed + config.seeds) for case in entered(jobs, config, seed)
        ]
        found, seconds = carry_out(jobs, out, watch)
        levels = [level for case in cases for level in found[case.measured]["facts"].values()]
        if any("different" not in level for level in levels):
            raise RunError(
                f"{out} was measured by an earlier version; delete all folders errors-* in it, then give the same "
                "command: what is trained is kept"
            )
        facts = [
            {"seed": case.seed, "fault": case.fault.kind if case.fault else NONE,
             "rate": case.fault.rate if case.fault else 0.0, "levels": found[case.measured]["facts"]}
            for case in cases
        ]  # fmt: skip
        results = propagation_results(
            facts, task=config.task or config.domain, node=config.node, useful=config.useful,
            config=config.to_show(), command=command_of("propagation", out), seconds=seconds,
        )  # fmt: skip
        write_results(results, out)
        write_propagation_report(results, out / REPORT)
        return results


def entered(jobs: Jobs, config: PropagationConfig, seed: int) -> list[Case]:
    """Enter the jobs of a seed: the tree without faults, then all that a fault reaches anew for every fault."""
    problem: Problem = (config.task, config.depth)
    labels = config.labels[0]
    tree = jobs.tree(problem, labels)
    reached = levels_from(tree, config.node)[1:]
    clean = jobs.nodes(problem, labels, seed)
    kinds = [(kind, rate) for kind in config.faults for rate in config.rates if rate > 0]
    faults = [None, *(Fault(node=config.node, kind=kind, rate=rate) for kind, rate in kinds)]
    cases = []
    for fault in faults:
        keys, named = dict(clean), "clean" if fault is None else f"{fault.kind}-{fault.rate:g}"
        for name in reached if fault is not None else ():
            needs = [keys[below] for below in sorted(tree.below(name) - {name})]
            keys[name] = jobs.add(
                train_node, problem, labels, seed, name, name=f"node-{name}-{named}", needs=needs, fault=fault
            )
        measured = jobs.add(
            measure_levels, problem, labels, seed, config.node, name=f"errors-{named}", needs=list(keys.values()),
            fault=fault,
        )  # fmt: skip
        cases.append(Case(seed=seed, fault=fault, measured=measured))
    return cases


def measure_levels(place: Place, found: Mapping[str, Result]) -> Result:
    """Measure the faulty node and all levels above it, as other jobs have trained them."""

    def work(setting: Setting) -> Result:
        tree = setting.build(setting.settings)
        nodes = train(setting.training(TREE, tree, evaluators="assisted"))
        planted = plant(tree, place.fault, place.seed) if place.fault is not None else None
        chain = Chain(tree=tree, nodes=nodes, first=place.what, planted=planted)
        facts = {}
        for name in levels_from(tree, place.what):
            facts[name] = figures(measure(
                chain, name, questions=place.config.test_inputs, pairs=place.config.test_pairs, seed=place.seed,
                experiences=setting.experiences,
            ))  # fmt: skip
        return {"facts": facts}

    return carried_out(place, found, work)


def figures(measured: Measured) -> dict[str, Any]:
    """A level's figures; those that are estimates each with its error over questions."""
    return {
        "depth": measured.depth,
        "names": measured.names,
        "calls": measured.calls,
        "different": float(measured.different.mean()),
        "error": of_items(measured.wrong.astype(float)),
        "recursion": of_items(measured.recursion_wrong.astype(float)),
        "enters": {source: of_items(values) for source, values in measured.enters.items()},
        "changed": {source: of_items(values.astype(float)) for source, values in measured.changed.items()},
        "reading_noise": of_items(measured.reading_noise),
    }
