"""Recursive reward modelling (Leike et al. 2018, arXiv 1811.07871, section 3).

Every node of the tree is trained by reward modelling, helpers before their parents; the helpers' claims assist their
parent's evaluator. All labels count, those of the helpers too.

Departures from the paper, which gives no algorithm: helpers point at places and give values, so that a bounded
evaluator can check
them; trust in them is learnt by checks; the root's reward model may see the helpers' asserted claims, and is
measured both ways. Where it sees them, a node may begin with the weights of a helper: answering policies then stand on
the helper's trained network, and foretell what helpers say. A policy is never shown a claim.
"""

from collections.abc import Mapping
from dataclasses import replace

from rewardtree.protocols.scheme import Scheme
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.loop import train
from rewardtree.tree.node import Tree

NAME = "recursive_reward_modeling"


def run(setting: Setting) -> Outcome:
    """Train the whole tree."""
    tree = setting.build(setting.settings)
    training = setting.training(NAME, tree, evaluators="assisted", people=setting.people, judges=setting.judges)
    nodes = train(training, setting.schedule)
    return Outcome(
        protocol=NAME,
        title="Recursive reward modelling" + judged_by(setting, tree),
        evaluator="assisted",
        reward_model_sees="output and claims" if tree.nodes[tree.root].claims_in_reward else "output",
        tree=tree,
        nodes=nodes,
        charged=(NAME,),
    )


def judged_by(setting: Setting, tree: Tree) -> str:
    """Who compares the root's outputs, or some of them, where it is not the simulated evaluator alone."""
    kinds = {"people": setting.people, "a language model": setting.judges}
    found = [kind for kind, who in kinds.items() if who is not None and tree.root in who.nodes]
    return f", judged by {' and '.join(found)}" if found else ""


def claims_unseen(setting: Setting) -> str | None:
    """For variants that differ from others in what the reward model sees of claims."""
    return None if sees_claims(setting) else "the root's reward model sees no claims anyway"


def sees_claims(setting: Setting) -> bool:
    """Whether this tree's root can have a reward model that sees claims; then both variants are run."""
    tree = setting.build(replace(setting.settings, claims_in_reward=True))
    return tree.nodes[tree.root].claims_in_reward


def run_output_only(setting: Setting, helpers: Mapping[str, Trained]) -> Outcome:
    """The root again, with the same helpers and labels, its reward model seeing outputs alone.

    Args:
        setting: as for `run`.
        helpers: what `run` trained; their labels are charged to this protocol too.
    """
    name = f"{NAME}_output"
    tree = setting.build(replace(setting.settings, claims_in_reward=False))
    borrowed = {key: value for key, value in helpers.items() if key != tree.root}
    return Outcome(
        protocol=name,
        title="Recursive reward modelling, output alone",
        evaluator="assisted",
        reward_model_sees="output",
        tree=tree,
        nodes=train(setting.training(name, tree, evaluators="assisted", borrowed=borrowed)),
        charged=(name, NAME),
    )


PAPER = "Leike et al. 2018, arXiv 1811.07871"
SCHEME = Scheme(name=NAME, title="Recursive reward modelling", paper=PAPER, run=run)
OUTPUT_ONLY = Scheme(
    name=f"{NAME}_output",
    title="Recursive reward modelling, output alone",
    paper=PAPER,
    run=lambda setting: run_output_only(setting, run(setting).nodes),
    refuses=claims_unseen,
    after=(NAME,),
)
