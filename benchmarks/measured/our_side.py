"""One seed of preference comparisons here, timed as `imitation_side.py` is; prints one line of JSON.

    python our_side.py '{"seed": 0, ...}'

It is the loop as `rewardtree run control` has it, store and checkpoints included, and nothing of what a run measures.
The evaluator has no lapses and prefers with the probabilities of `imitation`'s gatherer: nats are sums of rewards.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium
import torch
from measured.playing import counted, returns, world
from measured.watched import watched
from stable_baselines3.common.policies import ActorCriticPolicy

from rewardtree.domains.control.behaviours import random_rollouts
from rewardtree.domains.control.compiled import CompiledPolicy, CompiledPPO
from rewardtree.domains.control.hidden import Hidden
from rewardtree.domains.control.nodes import control_tree
from rewardtree.evaluators.calibration import Experience
from rewardtree.evaluators.simulated import Bounds, Simulated
from rewardtree.preferences import open_store
from rewardtree.rewards.segments import SegmentModel, SegmentRewards
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import known
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Tree

PARTS = {
    "environment": (Hidden, "step_wait"), "resets": (Hidden, "reset"), "updates": (CompiledPPO, "train"),
    "acting": (CompiledPolicy, "forward"), "playing": (ActorCriticPolicy, "predict"),
    "relabelling": (SegmentModel, "score"), "fitting": (SegmentRewards, "fit"), "evaluator": (Simulated, "judge"),
}  # fmt: skip
CLIP_PARTS, DECAY = 2, 1.0
"""As `rewardtree run control` has them."""


def budget(given: dict[str, Any]) -> tuple[Budget, int]:
    """Labels, and rollouts an improvement: as near to the rounds asked for as uses the steps up best."""
    rollouts = given["steps"] // (given["environments"] * given["ppo"]["n_steps"]) - 1
    near = [n for n in range(1, rollouts + 1) if 0.8 <= n / given["rounds"] <= 1.2] or [rollouts]
    iterations = max(near, key=lambda n: (rollouts // n * n, -abs(n - given["rounds"])))
    labels = Budget(iterations=iterations, labels=given["comparisons"] // iterations, decay=DECAY)
    return labels, rollouts // iterations


def tree_of(given: dict[str, Any], rationality: float) -> Tree:
    """The leaf."""
    labels, updates = budget(given)
    ppo = {name: value for name, value in given["ppo"].items() if name != "n_steps"}
    ppo |= {"policy_kwargs": {"net_arch": given["policy_widths"]}, "use_sde": False, "sde_sample_freq": -1}
    options = {
        "env": given["env"], "segment": given["fragment"], "parts": CLIP_PARTS, "members": given["members"],
        "hidden": given["reward_widths"][0], "rollout": given["ppo"]["n_steps"], "together": given["environments"],
        "ppo": ppo,
    }  # fmt: skip
    bounds = Bounds(budget=2 * CLIP_PARTS, rationality=rationality, lapse=0.0)
    return control_tree(
        Settings(seed=given["seed"], helper=labels, root=labels, bounds=bounds, updates=updates, options=options)
    )


def trained(given: dict[str, Any], folder: Path) -> tuple[Any, dict[str, Any]]:
    """Train; the policy, and what it cost."""
    kind = type(gymnasium.make(given["env"]).unwrapped)
    with counted(kind) as steps, watched(PARTS) as spent, open_store(folder / "store.db") as store:
        began, wall = time.process_time(), time.perf_counter()
        experiences: dict[str, Experience] = {}
        plain = tree_of(given, 1.0)
        scale = known(experiences, plain, plain.nodes[plain.root], given["seed"]).scale
        spent["the evaluator's experience"] = time.process_time() - began
        shown, tree = steps(), tree_of(given, scale)
        training = Training(
            tree=tree, protocol="timed", seed=given["seed"], store=store, out=folder, experiences=experiences
        )
        policy = train(training)[tree.root].policy
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        labels = sum(row.labels for row in store.ledger())
        return policy, {
            "steps": steps() - shown, "shown": shown, "labels": labels, "cpu": cpu, "wall": wall, "parts": dict(spent),
        }  # fmt: skip


def main() -> None:
    """Train once in small, so that nothing is loaded or compiled later; then train and measure."""
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as small, TemporaryDirectory() as whole:
        trained(given | {"rounds": 1, "steps": 5000, "comparisons": 10}, Path(small))
        random_rollouts.cache_clear()
        policy, found = trained(given, Path(whole))
    assert found["steps"] == policy.steps
    found["returns"] = returns(
        given["env"], lambda seen: policy.network().predict(seen, deterministic=True)[0], given["episodes"]
    )
    found["world"] = world(given["env"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
