"""A study: schemes times seeds times label budgets on one task, a depth ladder where asked for, on one ledger.

It can be gone on with after any end, by the same command.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rewardtree.studies.comparing_schemes import need_rliable
from rewardtree.studies.config import RunConfig
from rewardtree.studies.executors import Job, executor_named
from rewardtree.studies.installed import find_domain, find_protocol
from rewardtree.studies.jobs import (
    TREE,
    Place,
    find_optimum,
    measure_evaluators,
    rooted,
    train_node,
    train_scheme,
)
from rewardtree.studies.places import write_whole
from rewardtree.studies.run import REPORT, RESULTS, claimed, spent
from rewardtree.studies.study_config import StudyConfig
from rewardtree.studies.study_report import sandwich_results, study_results, write_study_report
from rewardtree.studies.tables import write_ladder, write_parquet
from rewardtree.tree.node import Tree

RUNS, LADDER, CONFIG = "runs.parquet", "ladder.parquet", "config.yaml"
HOW = ("executor", "workers", "address")
"""Names of the configuration that decide no figure."""
OUTPUT_ALONE = {
    "root_accuracy_output": "recursive_reward_modeling_output", "expert_root_accuracy_output": "flat_expert_output"
}  # fmt: skip
"""Figures of a rung whose policies' reward models see outputs alone, and the schemes that they are of."""
CONDITIONS = {"unaided": "flat_unaided", "assisted": TREE, "expert": "flat_expert"}
"""Each condition of a sandwich, and the scheme that trains on its answers."""
Results = dict[str, Any]
Watch = Callable[[str, int, int], None]


Problem = tuple[str | None, int | None]
"""Task and depth, where the domain lets one choose."""


class Jobs:
    """The jobs of a study, each named by its folder below the study's own.

    Args:
        config: of the study.
        out: its folder.
        run: its key.
    """

    def __init__(self, config: StudyConfig, out: Path, run: str) -> None:
        self.config, self.all = config, dict[str, Job]()
        self._out, self._run = out.resolve(), run

    def run(self, problem: Problem, labels: int) -> RunConfig:
        """What a tree of this problem is trained by."""
        return self.config.run(problem[0], labels, problem[1])

    def tree(self, problem: Problem, labels: int) -> Tree:
        """The tree that is trained."""
        run = self.run(problem, labels)
        return find_domain(run.domain).build(run.settings(self.config.seed))

    def add(self, work: Any, problem: Problem, labels: int, seed: int, what: str, **how: Any) -> str:
        """Enter a job, once; returns its key."""
        name = "-".join(str(part) for part in problem if part is not None) or self.config.domain
        key = f"{name}/labels-{labels}/seed-{seed}/{how.pop('name', what)}"
        if key not in self.all:
            place = Place(
                config=self.run(problem, labels), seed=seed, key=key, folder=self._out / key, run=self._run, what=what,
                root=how.pop("root", None), fault=how.pop("fault", None),
            )  # fmt: skip
            self.all[key] = Job(key=key, work=work, arguments=place, needs=tuple(how.pop("needs", ())))
        return key

    def nodes(self, problem: Problem, labels: int, seed: int, root: str | None = None) -> dict[str, str]:
        """Enter a job for a node and for each below it; keys by node, leaves first."""
        keys: dict[str, str] = {}
        tree = rooted(self.tree(problem, labels), root)
        for node in tree.leaves_first():
            needs = [keys[below] for below in sorted(tree.below(node.name) - {node.name})]
            keys[node.name] = self.add(
                train_node, problem, labels, seed, node.name, name=f"node-{node.name}", needs=needs
            )
        return keys

    def scheme(self, problem: Problem, labels: int, seed: int, name: str, root: str | None = None) -> str:
        """Enter a job for a scheme, after the nodes that it borrows."""
        borrows = name == TREE or TREE in find_protocol(name).after
        needs = list(self.nodes(problem, labels, seed, root).values()) if borrows else []
        short = name if root is None else f"{name}-{root}"
        return self.add(train_scheme, problem, labels, seed, name, name=short, needs=needs, root=root)


def run_study(config: StudyConfig, out: Path, watch: Watch) -> Results:
    """Carry out a study in a folder, or go on with it there.

    Args:
        config: of the study.
        out: its folder.
        watch: called with a job's name, the number of jobs done and of all jobs.

    Returns:
        What was written to `results.json`.

    Raises:
        RunError: where the folder belongs to something else, is in use, or cannot be written.
        ConfigError: where `rliable` is missing.
    """
    need_rliable()
    with begun(config, out, "study") as jobs:
        seeds = range(config.seed, config.seed + config.seeds)
        asked = [(n, s, scheme) for n in config.labels for s in seeds for scheme in config.schemes]
        keys = {jobs.scheme((config.task, config.depth), n, s, scheme): n for n, s, scheme in asked}
        rungs = [rung for problem in config.ladder.items() for s in seeds for rung in _rungs(jobs, problem, s)]
        found, seconds = carry_out(jobs, out, watch)
        task = {"task": config.task or config.domain}
        facts = [found[key]["facts"] | task | {"budget": labels} for key, labels in keys.items()]
        ladder = [_row(rung, found) for rung in rungs]
        write_parquet(facts, out / RUNS)
        if ladder:
            write_ladder(ladder, out / LADDER)
        command = command_of("study", out)
        results = study_results(facts, ladder, config=config.to_show(), command=command, seconds=seconds)
        return _written(results, out)


def run_sandwich(config: StudyConfig, out: Path, watch: Watch) -> Results:
    """Compare an unaided, an assisted and an expert evaluator of the root on the same held-out comparisons.

    After Cotra 2021 and Bowman et al. 2022 (arXiv 2211.03540): can a non-expert with assistance reach what an expert
    reaches? Policies trained on each one's answers are compared too. The first of the label budgets is used.

    Args:
        config: of the study; its schemes are not heeded.
        out: its folder.
        watch: as for `run_study`.

    Raises:
        RunError: as for `run_study`.
    """
    with begun(config, out, "sandwich") as jobs:
        problem, labels = (config.task, config.depth), config.labels[0]
        root, keys = jobs.tree(problem, labels).root, dict[tuple[int, str], str]()
        for seed in range(config.seed, config.seed + config.seeds):
            nodes = jobs.nodes(problem, labels, seed)
            for condition, scheme in CONDITIONS.items():
                keys[(seed, condition)] = jobs.scheme(problem, labels, seed, scheme)
            keys[(seed, "")] = jobs.add(
                measure_evaluators, problem, labels, seed, root, name="evaluators", needs=list(nodes.values())
            )
        found, seconds = carry_out(jobs, out, watch)
        facts = []
        for (seed, condition), key in keys.items():
            if not condition:
                continue
            judged, trained = found[keys[(seed, "")]]["facts"][root][condition], found[key]["facts"]
            reward = {"mean": trained["true_reward"], "error": trained.get("true_reward_error", 0.0), "n": 1}
            facts.append({
                "task": config.task or config.domain, "condition": condition, "seed": seed,
                "accuracy": judged["accuracy"],
                "readings": judged["readings"], "seconds": judged["seconds"],
                "true_reward": None if trained["failed"] else reward,
            })  # fmt: skip
        command = command_of("sandwich", out)
        return _written(sandwich_results(facts, config=config.to_show(), command=command, seconds=seconds), out)


def _rungs(jobs: Jobs, problem: Problem, seed: int) -> list[dict[str, Any]]:
    """Enter the jobs of a ladder; what each of its rungs is read from."""
    labels = jobs.config.labels[-1]
    tree, nodes = jobs.tree(problem, labels), jobs.nodes(problem, labels, seed)
    judged = jobs.add(
        measure_evaluators, problem, labels, seed, " ".join(nodes), name="evaluators", needs=list(nodes.values())
    )
    optimum = None
    if find_domain(jobs.config.domain).optimum is not None:
        optimum = jobs.add(find_optimum, problem, labels, jobs.config.seed, "optimum")
    rungs = []
    for node in tree.leaves_first():
        expert = "flat_expert" if node.claims_in_reward else "flat_expert_output"
        output = OUTPUT_ALONE if node.claims_in_reward else {}
        rungs.append({
            "task": problem[0], "seed": seed, "node": node.name, "depth": tree.depth(node.name), "optimum": optimum,
            "judged": judged, "expert": jobs.scheme(problem, labels, seed, expert, node.name),
            "output": {key: jobs.scheme(problem, labels, seed, scheme, node.name) for key, scheme in output.items()},
            "trained": [nodes[name] for name in tree.below(node.name)], "labels": tree.rooted(node.name).labels,
        })  # fmt: skip
    return rungs


def _row(rung: Mapping[str, Any], found: Mapping[str, Any]) -> Results:
    """One rung's figures; those of evaluators without their noise and lapses are named so."""
    facts = found[rung["judged"]]["facts"][rung["node"]]
    expert = found[rung["expert"]]["facts"]
    right = {kind: facts[kind]["accuracy"]["mean"] for kind in ("unaided", "assisted", "expert") if kind in facts}
    row = {
        "task": rung["task"],
        "depth": rung["depth"],
        "seed": rung["seed"],
        "unaided_optimum": found[rung["optimum"]]["facts"].get(rung["node"]) if rung["optimum"] else None,
        "unaided": right["unaided"],
        "assisted": right.get("assisted", right["unaided"]),
        "expert": right["expert"],
        "unaided_noise_free": facts["unaided"]["noise_free"]["mean"],
        "pairs": facts["unaided"]["pairs"],
        "root_accuracy": facts["true_reward"]["mean"],
        "expert_root_accuracy": expert["true_reward"],
        **{key: found[job]["facts"]["true_reward"] for key, job in rung["output"].items()},
        "labels": rung["labels"],
        "seconds": sum(found[key]["seconds"] for key in rung["trained"]),
    }
    return row | {"why": _why(row)}


def _why(row: Mapping[str, Any]) -> str | None:
    """What keeps a rung from 90 % assisted accuracy, or its policy from 95 % of the expert-trained one."""
    if row["assisted"] < 0.9:
        return f"the evaluator is right on {row['assisted']:.0%} with these helpers, an expert on {row['expert']:.0%}"
    if row["expert_root_accuracy"] < 0.8:
        return f"no policy learns this level: trained by an expert it is right on {row['expert_root_accuracy']:.0%}"
    if row["root_accuracy"] < 0.95 * row["expert_root_accuracy"]:
        both = f"{row['root_accuracy']:.0%} and {row['expert_root_accuracy']:.0%}"
        return f"the policy falls short of the one that an expert trained: {both}"
    return None


@contextmanager
def begun(config: StudyConfig, out: Path, kind: str) -> Iterator[Jobs]:
    """Hold a folder for this study, new or gone on with, and give its jobs to enter."""
    wanted = {"kind": kind} | json.loads(config.model_dump_json(exclude=set(HOW)))
    another = f"{out} holds another study or run; choose another --out, or the same configuration"
    with claimed(out, wanted, "study", lambda kept: kept == wanted, another) as key:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_whole(out / CONFIG, text, private="store" in config.settings)  # with its password
        yield Jobs(config, out, key)


def carry_out(jobs: Jobs, out: Path, watch: Watch) -> tuple[dict[str, Any], float]:
    """Run all jobs; their results, and seconds that the study has taken in all."""
    config, begun_at, done = jobs.config, time.time(), list[str]()
    execute = executor_named(config.executor, config.workers, config.address)

    def note(key: str, result: Any) -> None:
        done.append(key)
        watch(key, len(done), len(jobs.all))

    found = execute(list(jobs.all.values()), note)
    return found, spent(out, time.time() - begun_at)


def write_results(results: Results, out: Path) -> None:
    """Write `results.json`."""
    write_whole(out / RESULTS, json.dumps(results, indent=1))


def _written(results: Results, out: Path) -> Results:
    write_results(results, out)
    write_study_report(results, out / REPORT)
    return results


def command_of(kind: str, out: Path) -> str:
    """The command line that makes this again."""
    return shlex.join(["rewardtree", kind, str(out / CONFIG), "--out", str(out)])
