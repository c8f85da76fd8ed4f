"""One seed of a run: every protocol on one ledger, then every measurement.

Its facts are kept, so that nothing is done twice.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.preferences import Store, open_store
from rewardtree.protocols import book_summaries, flat_reward_modeling, oracle, recursive_reward_modeling
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.studies import judged, readers
from rewardtree.studies.asked import answers, words_on
from rewardtree.studies.clock import Clock
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import of_items, one
from rewardtree.studies.places import LABELS, looked_at, write_whole
from rewardtree.studies.yardsticks import worth, yardsticks
from rewardtree.tasks.task import Measured
from rewardtree.tree.asking import Waiting
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.domain import Domain
from rewardtree.tree.evaluating import judge_of
from rewardtree.tree.loop import helpers_of
from rewardtree.tree.measure import (
    STRATA,
    Accuracy,
    Pairs,
    accuracy,
    asides,
    by_budget,
    conditions,
    frozen_pairs,
    policy_rewards,
    reward_model_accuracy,
)
from rewardtree.tree.node import Node, Tree

Facts = dict[str, Any]
Progress = Callable[[Mapping[str, Any]], None]
TREE = recursive_reward_modeling.NAME
LIVE_PAIRS = 200
"""Validation pairs of a node on which progress shows its evaluator's accuracy."""


def train_seed(domain: Domain, config: RunConfig, seed: int, out: Path, run_key: str, progress: Progress) -> Facts:
    """Train and measure one seed.

    Args:
        domain: gives the tree.
        config: of the run.
        seed: this one.
        out: this seed's folder.
        run_key: names the seed's comparisons where several runs share a database.
        progress: called with a record after every finished iteration and measurement.

    Returns:
        The seed's facts, JSON-able; see `rewardtree.studies.results`.
    """
    kept = out / "facts.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    curves: dict[tuple[str, str], list[Facts]] = {}
    latest: dict[str, Trained] = {}

    def observe(protocol: str, node: Node, iteration: int, trained: Trained) -> None:
        latest[node.name] = trained
        if not looked_at(iteration, node.budget.iterations):
            return
        step = _step(node, iteration, trained, config.test_inputs)
        wanted = step["labels"]
        if protocol == TREE and by_people(setting, node.name):
            found = answers(setting.store, trained)
            step["labels"], wanted = (found[what] + found["simulated"] for what in ("given", "asked"))
        curves.setdefault((protocol, node.name), []).append(step)
        truth = isinstance(node.task, Measured)
        progress({
            "seed": seed, "protocol": protocol, "node": node.name, "iterations": node.budget.iterations,
            "iteration": step["iteration"], "labels": step["labels"], "asked": wanted,
            "true_reward": validated(node, trained, config.test_inputs) if truth else None,
            "reward_model_accuracy": trained.fits[-1].accuracy,
            **(live_accuracy(setting, node, latest) if protocol == TREE and truth else {}),
        })  # fmt: skip

    def waiting(node: str, now: Waiting) -> None:
        progress({"seed": seed, "node": node, "answers": words_on(now)})

    root = partial(root_of, domain, config, seed)
    with open_store(own_store(config, out), run=run_key) as store:
        clock = Clock(out / "seconds.json")
        setting = Setting(
            build=domain.build,
            settings=config.settings(seed, out),
            store=store,
            out=out,
            schedule=config.schedule,
            decomposition=domain.decomposition(config.settings(seed)) if domain.decomposition else None,
            people=config.people(root, waiting),
            judges=judged.judges_of(config, seed, out, root),
            observe=observe,
        )
        with clock.measure(book_summaries.CLONING):
            setting = replace(setting, start=book_summaries.cloned(setting))
        outcomes = train_protocols(setting, clock)
        progress({"seed": seed, "doing": "measuring"})
        facts = measured(domain, config, setting, outcomes, clock, progress)
        for name, found in facts["nodes"].items():
            found["curve"] = curves[(TREE, name)]
        for outcome in outcomes:
            facts["protocols"][outcome.protocol]["curve"] = curves[(outcome.protocol, outcome.tree.root)]
    write_whole(kept, json.dumps(facts))
    return facts


def measured(
    domain: Domain, config: RunConfig, setting: Setting, outcomes: list[Outcome], clock: Clock, progress: Progress
) -> Facts:  # fmt: skip
    """Everything that is measured once all is trained; where there is no true reward, what readers prefer."""
    seed, tree_outcome = setting.settings.seed, outcomes[0]
    truth = has_truth(tree_outcome)
    with clock.measure("oracle"):
        oracle_policy = oracle.run(setting) if truth else None
    facts: Facts = {"seed": seed, "nodes": {}, "protocols": {}}
    facts |= {} if truth else readers.facts(tree_outcome, setting, config)
    facts |= spent_and_asked(tree_outcome, setting, config)
    for node in tree_outcome.tree.leaves_first():
        facts["nodes"][node.name] = node_facts(tree_outcome, node, setting, config, facts["ledger"])
        progress({"seed": seed, "doing": "measuring", "node": node.name})
    for outcome in outcomes:
        facts["protocols"][outcome.protocol] = protocol_facts(outcome, facts["ledger"], clock, config.test_inputs)
    if truth:
        facts["protocols"] |= yardsticks(domain, tree_outcome, oracle_policy, clock, config)
    return facts | shown(domain, tree_outcome, setting)


def shown(domain: Domain, outcome: Outcome, setting: Setting) -> Facts:
    """What the domain itself has to show: pictures, what stages of training are worth, texts to be opened."""
    facts: Facts = {}
    if domain.pictures is not None:
        policies = {name: trained.policy for name, trained in outcome.nodes.items()}
        facts["pictures"] = domain.pictures(outcome.tree, policies, np.random.default_rng(1))
    root = outcome.tree.nodes[outcome.tree.root]
    trained = outcome.nodes[root.name]
    if domain.stages is not None:
        begun = {"imitation": setting.start[root.group]} if root.group in setting.start else {}
        found = domain.stages(setting.settings, {"untrained": trained.untrained, **begun, "trained": trained.policy})
        facts["stages"] = {
            where: {who: {what: of_items(values) for what, values in row.items()} for who, row in rows.items()}
            for where, rows in found.items()
        }
    if domain.outlines is not None:
        facts["outlines"] = domain.outlines(setting.settings, trained.policy)
    return facts


def spent_and_asked(outcome: Outcome, setting: Setting, config: RunConfig) -> Facts:
    """The ledger, what people were asked in the tree's training, and what a language model judged where one does."""
    rows, store = ledger(setting.store), setting.store
    asked = {name: answers(store, node) for name, node in outcome.nodes.items() if by_people(setting, name)}
    found: dict[str, Any] = {"ledger": rows, "answers": asked}
    if setting.judges is not None:
        tree, seed = outcome.tree, setting.settings.seed
        right = judged.measured(setting.judges, tree, outcome.nodes, partial(setting.experience, tree),
                                config.judge_pairs, seed)  # fmt: skip
        said = judged.facts(setting.out, store)
        found["judge"] = {name: right.get(name, {}) | said.get(name, {}) for name in right | said}
    if setting.judges is not None or config.models:
        found["ledger"] = judged.charged(rows, setting.out, config, TREE)
    return found


def root_of(domain: Domain, config: RunConfig, seed: int) -> str:
    """The name of the root of a seed's tree."""
    return domain.build(config.settings(seed)).root


def own_store(config: RunConfig, out: Path) -> str | Path:
    """The store that is named, or the seed's file; where people label, one for all seeds, as one page serves them."""
    return config.store or (out.parent / LABELS if config.asks_people else out / "store.db")


def by_people(setting: Setting, node: str) -> bool:
    """Whether people judge a node's outputs, or some of them, in the tree's training."""
    return setting.people is not None and node in setting.people.nodes


def live_accuracy(setting: Setting, node: Node, nodes: Mapping[str, Trained]) -> dict[str, float]:
    """How often the node's evaluator is right by now on a few validation pairs, unaided and with its helpers."""
    tree = setting.build(setting.settings)
    experience = setting.experience(tree, node)
    pairs = frozen_pairs(node, experience.scale, LIVE_PAIRS, "validation")
    kinds = {"unaided": {}, "assisted": helpers_of(tree, node, nodes)}
    return {
        f"{kind}_accuracy": float(
            accuracy(judge_of(experience, node, helpers, np.random.default_rng(0)), node, pairs).noisy.mean()
        )
        for kind, helpers in kinds.items()
        if helpers or kind == "unaided"
    }


def train_protocols(setting: Setting, clock: Clock) -> list[Outcome]:
    """The tree, then what it must beat, then the same with reward models that see outputs alone.

    What it must beat has simulated evaluators; where there can be none, the tree is all. A root without helpers is flat
    reward modelling itself, so there is nothing to beat.
    """
    with clock.measure(TREE):
        outcomes = [recursive_reward_modeling.run(setting)]
    helpers, tree = outcomes[0].nodes, outcomes[0].tree
    if not has_truth(outcomes[0]) or not tree.nodes[tree.root].helpers:
        return outcomes
    kinds: tuple[flat_reward_modeling.Evaluators, ...] = ("unaided", "expert")
    if outcomes[0].reward_model_sees == "output and claims":
        for kind in kinds:
            with clock.measure(f"flat_{kind}"):
                outcomes.append(flat_reward_modeling.run(setting, kind, helpers))
        with clock.measure(f"{TREE}_output"):
            outcomes.append(recursive_reward_modeling.run_output_only(setting, helpers))
    alone = "_output" if len(outcomes) > 1 else ""
    for kind in kinds:
        with clock.measure(f"flat_{kind}{alone}"):
            outcomes.append(flat_reward_modeling.run(setting, kind, None))
    return outcomes


def node_facts(outcome: Outcome, node: Node, setting: Setting, config: RunConfig, rows: list[dict[str, Any]]) -> Facts:
    """Everything about one node of the tree; of what has no true reward, all that is not measured by it."""
    tree, nodes, seed = outcome.tree, outcome.nodes, setting.settings.seed
    if not isinstance(node.task, Measured):
        return told_of(tree, node) | {"reward_model": fitted(nodes[node.name])}
    experience, trained = setting.experience(tree, node), nodes[node.name]
    pairs = frozen_pairs(node, experience.scale, config.test_pairs)
    below = tree.below(node.name)
    spent = sum(row["readings"] for row in rows if row["protocol"] == TREE and row["node"] in below) + sum(
        nodes[name].check_readings for name in below
    )
    equal = max(1, round(spent / node.budget.total))
    measured = conditions(tree, node, nodes, experience, pairs, seed=seed, equal_readings=equal)
    beside = asides(tree, node, nodes, config.test_pairs, seed=seed)
    helpers = helpers_of(tree, node, nodes)
    rewards, measures = policy_rewards(node, trained.policy, config.test_inputs)
    true_reward = {
        "trained": of_items(rewards),
        "untrained": of_items(policy_rewards(node, trained.untrained, config.test_inputs)[0]),
    }
    facts: Facts = told_of(tree, node) | {
        "accuracy": {kind: of_items(found.noisy) for kind, found in (measured | beside).items()},
        "accuracy_noise_free": {kind: of_items(found.noise_free) for kind, found in (measured | beside).items()},
        "readings": {kind: of_items(found.readings) for kind, found in (measured | beside).items()},
        "accuracy_by_budget": {
            str(budget): {kind: of_items(found.noisy) for kind, found in kinds.items()}
            for budget, kinds in by_budget(tree, node, nodes, experience, pairs, seed=seed).items()
        },
        "accuracy_by_stratum": strata(measured, pairs),
        "true_reward": true_reward,
        "measures": {name: of_items(values) for name, values in measures.items()},
        "equal_readings": equal,
    }
    if trained.reward_model is not None:
        right = reward_model_accuracy(node, helpers, trained.reward_model, pairs)
        facts["reward_model"] = fitted(trained) | {"true_accuracy": of_items(right)}
    if helpers:
        judge = judge_of(experience, node, helpers, np.random.default_rng([seed, 5]))
        facts["trust"] = {q: {"mean": t.reliability, "error": 0.0, "n": 1} for q, t in judge.evaluator.trust.items()}
        facts["plan"] = list(judge.evaluator.plan.first)
    return facts


def told_of(tree: Tree, node: Node) -> Facts:
    """What a node is, before anything is measured."""
    return {
        "helpers": list(node.helpers),
        "depth": tree.depth(node.name),
        "labels": node.budget.total,
        "task": (node.task.__doc__ or node.name).split(". ")[0].strip(),
    }


def fitted(trained: Trained) -> Facts:
    """How the node's reward model does on answers that were held out."""
    last = trained.fits[-1]
    return {
        "accuracy": {
            "mean": last.accuracy,
            "error": (last.accuracy * (1 - last.accuracy) / max(last.held_out, 1)) ** 0.5,
            "n": last.held_out,
        },
        "calibration_error": {"mean": last.calibration_error, "error": 0.0, "n": last.held_out},
    }


def has_truth(outcome: Outcome) -> bool:
    """Whether the root has a true reward."""
    return isinstance(outcome.tree.nodes[outcome.tree.root].task, Measured)


def validated(node: Node, trained: Trained, inputs: int) -> float:
    """Mean true reward of the policy on validation inputs."""
    return float(policy_rewards(node, trained.policy, inputs, "validation")[0].mean())


def strata(measured: Mapping[str, Accuracy], pairs: Pairs) -> Facts:
    """Accuracy by the size of the difference in true reward."""
    edges = [*map(str, STRATA), ""]
    names = [f"{low}-{high}" if high else f"over {low}" for low, high in pairwise(edges)]
    shown = [kind for kind in ("unaided", "assisted", "ideal", "expert") if kind in measured]
    return {
        name: {kind: of_items(measured[kind].noisy[pairs.stratum == index]) for kind in shown}
        for index, name in enumerate(names)
    }


def protocol_facts(outcome: Outcome, rows: list[dict[str, Any]], clock: Clock, inputs: int) -> Facts:
    """What a protocol's root is worth, and what it cost."""
    root = outcome.tree.nodes[outcome.tree.root]
    charged = [row for row in rows if charged_to(row, outcome) and not revised(row, rows)]
    checks = sum(trained.check_readings for trained in outcome.nodes.values())
    return {
        "title": outcome.title,
        "evaluator": outcome.evaluator,
        "reward_model_sees": outcome.reward_model_sees,
        **(worth(root, outcome.nodes[root.name].policy, inputs) if has_truth(outcome) else {}),
        "labels": one(float(sum(row["labels"] for row in charged))),
        "readings": one(float(sum(row["readings"] for row in charged) + checks)),
        "seconds": one(sum((clock.seconds.get(name, 0.0) for name in outcome.charged), 0.0)),
    }


def charged_to(row: Mapping[str, Any], outcome: Outcome) -> bool:
    """Whether a row of the ledger is spent by this outcome: its own, or on helpers that it borrowed."""
    own = row["protocol"] == outcome.protocol
    return own or (row["protocol"] in outcome.charged and row["node"] != outcome.tree.root)


def revised(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a row holds first answers that a person gave again with claims in sight: such a pair is one label."""
    place = ("protocol", "node", "evaluator")
    return row["condition"] == "unaided" and any(
        other["condition"] == "revised" and all(other[name] == row[name] for name in place) for other in rows
    )


def ledger(store: Store) -> list[dict[str, Any]]:
    """What was spent, a row a protocol, node and evaluator."""
    names = (
        "protocol",
        "node",
        "evaluator",
        "condition",
        "labels",
        "abstentions",
        "readings",
        "seconds",
        "demonstrations",
        "verdicts",
    )
    return [{name: getattr(row, name) for name in names} for row in store.ledger()]


def _step(node: Node, iteration: int, trained: Trained, inputs: int) -> Facts:
    last = trained.fits[-1]
    truth = isinstance(node.task, Measured)
    return {
        "iteration": iteration + 1,
        "labels": node.budget.given(iteration + 1),
        "reward_model_accuracy": {"mean": last.accuracy, "error": 0.0, "n": last.held_out},
        **({"true_reward": of_items(policy_rewards(node, trained.policy, inputs)[0])} if truth else {}),
    }
