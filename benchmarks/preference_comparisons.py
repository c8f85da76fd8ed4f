"""Preference comparisons here against `imitation` 1.0.1, seed by seed on the same environment; the last line is JSON.

    python benchmarks/preference_comparisons.py --seeds 8 --env Pendulum-v1
    python benchmarks/preference_comparisons.py --seeds 3 --env HalfCheetah-v5

Both sides have the same environment (checked: the same actions lead to the same numbers in both releases of
Gymnasium), as many environments side by side, comparisons, steps of a fragment, networks and PPO hyperparameters; ours
has the rounds of `rewardtree run control`, imitation the iterations of its tutorial or more. Steps are those that
environments truly took, counted: `imitation` collects further episodes to cut fragments from, and has one iteration
more than asked; ours may take as many as it took with the same seed. `imitation` is put together as in its tutorial on
Pendulum; its Gymnasium has MuJoCo's environments as -v4, which is the same world for HalfCheetah.

- `cpu_ratio`, `wall_ratio`: seconds of training, ours over imitation's, all seeds together.
- `machinery_ratio`: the same of everything but environment steps and PPO's updates; the policy's acting while it trains
  counts as machinery. `preference_ratio` leaves that out too.
- `return_ours`, `return_imitation`: true return of the final policy, acting deterministically, over episodes from seeds
  that no training drew; `difference` is paired over seeds. Means with 95 % intervals over seeds.

Every training has a process of its own and one thread of torch, and is timed after a small one in the same process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measured.imitation_environment import interpreter

from rewardtree.studies.estimates import Estimate, over_seeds

HERE = Path(__file__).parent
Given = dict[str, Any]
Found = Mapping[str, Any]
PENDULUM: Given = {
    "environments": 8, "fragment": 50, "iterations": 20, "rounds": 6, "steps": 40_960, "comparisons": 200,
    "exploration": 0.05,
    "reward_widths": [32, 32], "members": 1, "reward_epochs": 3, "initial_epochs": 4, "policy_widths": [32, 32],
    "ppo": {"n_steps": 256, "batch_size": 64, "ent_coef": 0.01, "learning_rate": 2e-3, "clip_range": 0.1,
            "gae_lambda": 0.95, "gamma": 0.97, "n_epochs": 10},
}  # fmt: skip
"""The tutorial's, but for 20 iterations (it has 5; 60 are better, it says) and fragments of 50 steps (it has 100)."""
MUJOCO: Given = PENDULUM | {
    "steps": 102_400, "comparisons": 700, "iterations": 50, "rounds": 14, "reward_widths": [64, 64],
    "policy_widths": [64, 64],
    "ppo": {"n_steps": 256, "batch_size": 64, "ent_coef": 0.0, "learning_rate": 3e-4, "clip_range": 0.2,
            "gae_lambda": 0.95, "gamma": 0.99, "n_epochs": 10},
}  # fmt: skip
"""PPO as Stable-Baselines3 has it by default, with the paper's 700 comparisons."""
QUICK: Given = {"iterations": 3, "rounds": 2, "steps": 6144, "comparisons": 40, "episodes": 10}
STEPPING = ("environment", "resets", "updates")
"""Parts of a training that are no machinery."""
ACTING = ("acting", "playing")


def run(python: str | Path, side: str, given: Given) -> Found:
    """One training in a process of its own."""
    told = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    if side == "imitation_side":
        told["PYTHONPATH"] = str(HERE)
    done = subprocess.run(
        [str(python), str(HERE / "measured" / f"{side}.py"), json.dumps(given)], env=told, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def pair(python: Path, given: Given) -> tuple[Found, Found]:
    """The same seed on both sides, imitation first, as its steps are what ours may take."""
    env = given["env"]
    theirs = run(python, "imitation_side", given | {"env": env.replace("-v5", "-v4")})
    ours = run(sys.executable, "our_side", given | {"steps": theirs["steps"]})
    if not np.allclose(theirs["world"], ours["world"], rtol=1e-3, atol=1e-5):
        raise SystemExit(f"{env} is not the same world in both releases of Gymnasium; choose another environment")
    if ours["steps"] > theirs["steps"] or ours["labels"] > theirs["labels"]:
        raise SystemExit(f"ours took more than its due: {ours['steps']} steps, {ours['labels']} comparisons")
    return ours, theirs


def spent(found: Sequence[Found], leave_out: Sequence[str] = ()) -> float:
    """CPU seconds of all seeds, but for some parts."""
    return sum(one["cpu"] - sum(one["parts"].get(part, 0.0) for part in leave_out) for one in found)


def estimated(values: Sequence[float]) -> Estimate:
    """Over seeds."""
    return over_seeds([{"mean": value, "error": 0.0, "n": 1} for value in values])


def table(ours: Sequence[Found], theirs: Sequence[Found]) -> None:
    """CPU seconds a seed, part by part."""
    parts = [Counter({"rest": spent([one], tuple(one["parts"]))} | one["parts"]) for one in (*ours, *theirs)]
    names = sorted({name for one in parts for name in one}, key=lambda name: name == "rest")
    print(f"\n{'CPU s a seed':28}{'rewardtree':>12}{'imitation':>12}")
    for name in names:
        means = [statistics.mean(one[name] for one in side) for side in (parts[: len(ours)], parts[len(ours) :])]
        print(f"{name:28}{means[0]:12.2f}{means[1]:12.2f}")
    print(f"{'whole':28}{spent(ours) / len(ours):12.2f}{spent(theirs) / len(theirs):12.2f}")


def main() -> None:
    """Run all seeds and print what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--env", default="Pendulum-v1")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--steps", type=int, help="that imitation is asked to take; it takes about twice as many")
    parser.add_argument("--comparisons", type=int)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--members", type=int, default=1, help="of the ensemble of reward networks, on both sides")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    asked = parser.parse_args()
    python = interpreter()
    given = (PENDULUM if asked.env.startswith("Pendulum") else MUJOCO) | {"env": asked.env, "episodes": asked.episodes}
    given |= QUICK if asked.quick else {}
    named = ("steps", "comparisons", "iterations", "members")
    given |= {name: getattr(asked, name) for name in named if getattr(asked, name) is not None}
    print(f"{'seed':>6}{'':14}{'steps':>9}{'labels':>8}{'CPU s':>8}{'wall s':>8}{'return':>10}")
    ours: list[Found] = []
    theirs: list[Found] = []
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        for name, side, found in zip(
            ("rewardtree", "imitation"), (ours, theirs), pair(python, given | {"seed": seed}), strict=True
        ):
            side.append(found)
            print(f"{seed:6} {name:13}{found['steps']:9}{found['labels']:8}{found['cpu']:8.1f}{found['wall']:8.1f}"
                  f"{statistics.mean(found['returns']):10.1f}", flush=True)  # fmt: skip
    table(ours, theirs)
    returns = [[statistics.mean(one["returns"]) for one in side] for side in (ours, theirs)]
    print(json.dumps({
        "env": asked.env, "seeds": asked.seeds,
        "cpu_ratio": spent(ours) / spent(theirs),
        "machinery_ratio": spent(ours, STEPPING) / spent(theirs, STEPPING),
        "preference_ratio": spent(ours, (*STEPPING, *ACTING)) / spent(theirs, (*STEPPING, *ACTING)),
        "wall_ratio": sum(one["wall"] for one in ours) / sum(one["wall"] for one in theirs),
        "return_ours": estimated(returns[0]), "return_imitation": estimated(returns[1]),
        "difference": estimated(np.subtract(*returns).tolist()),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
