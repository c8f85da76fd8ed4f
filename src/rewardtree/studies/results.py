"""From the facts of all seeds to `results.json`, the same shape for every domain.

Schema 1. An estimate is `{mean, low, high, n, unit}` with a 95 % interval; `unit` is `seeds`, or `items` where there
is one seed.

- `nodes.<name>`: `helpers`, `depth`, `labels`, `accuracy.<condition>`, `accuracy_noise_free.<condition>`,
  `accuracy_by_budget.<budget>.<condition>`, `accuracy_by_stratum.<stratum>.<condition>`, `trust.<quantity>`,
  `reward_model.{accuracy, calibration_error, true_accuracy}`, `true_reward.{trained, untrained}`, `measures.<name>`.
- `protocols.<name>`: `title`, `evaluator`, `reward_model_sees`, `true_reward`, `labels`, `readings`, `seconds`,
  `curve`; `measures.<name>` of sampled outputs, and `surest.<name>` of the most probable ones.
- `gap_recovered`: `accuracy`, `true_reward`, and `true_reward_output` (reward models that see outputs alone).
- `answers.<name>`: of nodes that people judge, `asked`, `given`, `aside`, `simulated`, `trained_on`, over all seeds.
- `judge.<name>`: of nodes that a language model judges, what its answers were worth; see `rewardtree.studies.judged`.
- `readers`: of a root without a true reward, what readers prefer; see `rewardtree.studies.readers`. Nothing above that
  is measured by it is there then, and `examples` are some outputs of the first seed in words.
- `stages.<where>.<who>.<measure>`: of domains that measure stages of training, what the root's policy is worth.
- `errors`: where the root's error comes from. `ledger`, `config`; `pictures` and `outlines`, of the first seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rewardtree import __version__
from rewardtree.studies import asked
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import Estimate, gap_recovered, over_seeds
from rewardtree.studies.seed import TREE, Facts

SCHEMA = 1


def merge(found: Sequence[Any]) -> Any:
    """Facts of all seeds as estimates, keeping their structure; what is not a fact is taken from the first seed."""
    first = found[0]
    if isinstance(first, dict) and set(first) == {"mean", "error", "n"}:
        return over_seeds(found)
    if isinstance(first, dict):
        return {key: merge([f[key] for f in found if key in f]) for key in first}
    if isinstance(first, list) and first and isinstance(first[0], dict):
        return [merge(list(rows)) for rows in zip(*found, strict=False)]
    return first


def results(config: RunConfig, root: str, seeds: Sequence[Facts], *, command: str, seconds: float) -> dict[str, Any]:
    """Everything that a run found."""
    nodes, protocols = merge([s["nodes"] for s in seeds]), merge([s["protocols"] for s in seeds])
    truth = "readers" not in seeds[0]
    return {
        "schema": SCHEMA,
        "domain": config.domain,
        "preset": config.preset,
        "root": root,
        "seeds": [s["seed"] for s in seeds],
        "version": __version__,
        "command": command,
        "seconds": seconds,
        "config": config.to_show(),
        "nodes": nodes,
        "protocols": protocols,
        "gap_recovered": gaps(root, seeds) if truth else {},
        "answers": asked.add_up([s.get("answers", {}) for s in seeds]),
        "judge": merge([s.get("judge", {}) for s in seeds]),
        "errors": errors(root, seeds) if truth else [],
        "readers": merge([s.get("readers", {}) for s in seeds]),
        "examples": seeds[0].get("examples", []),
        "ledger": add_up([s["ledger"] for s in seeds]),
        "stages": merge([s.get("stages", {}) for s in seeds]),
        "pictures": seeds[0].get("pictures", []),
        "outlines": seeds[0].get("outlines", []),
    }


def gaps(root: str, seeds: Sequence[Facts]) -> dict[str, Estimate | str]:
    """How much of the gap between unaided and expert the assisted evaluator and its protocol recover.

    Nothing where the root has no helpers.
    """

    def of(path: str) -> list[dict[str, float]]:
        found: list[Any] = list(seeds)
        for key in path.split("/"):
            found = [f[key] for f in found]
        return found

    def protocol(suffix: str) -> Estimate | str:
        names = (f"{TREE}{suffix}", f"flat_unaided{suffix}", f"flat_expert{suffix}")
        return gap_recovered(*(of(f"protocols/{name}/true_reward") for name in names))

    if "assisted" not in seeds[0]["nodes"][root]["accuracy"]:
        return {}
    accuracy = f"nodes/{root}/accuracy"
    found = {
        "accuracy": gap_recovered(of(f"{accuracy}/assisted"), of(f"{accuracy}/unaided"), of(f"{accuracy}/expert")),
        "true_reward": protocol(""),
    }
    return found | ({"true_reward_output": protocol("_output")} if f"{TREE}_output" in seeds[0]["protocols"] else {})


def errors(root: str, seeds: Sequence[Facts]) -> list[dict[str, Any]]:
    """Where the root's error comes from: losses that add up along the way from the truth to the policy."""

    def loss(source: str, measure: str, better: Any, worse: Any, meaning: str) -> dict[str, Any]:
        facts = []
        for seed in seeds:
            high, low = better(seed), worse(seed)
            error = (high["error"] ** 2 + low["error"] ** 2) ** 0.5
            facts.append({"mean": high["mean"] - low["mean"], "error": error, "n": low["n"]})
        return {"source": source, "measure": measure, "loss": over_seeds(facts), "meaning": meaning}

    def free(kind: str) -> Any:
        return lambda seed: seed["nodes"][root]["accuracy_noise_free"][kind]

    def reward(name: str) -> Any:
        return lambda seed: seed["protocols"][name]["true_reward"]

    perfect: Mapping[str, float] = {"mean": 1.0, "error": 0.0, "n": 1}
    found = []
    if "assisted" in seeds[0]["nodes"][root]["accuracy"]:
        found += [
            loss("not asked", "accuracy", lambda _: perfect, free("ideal"),
                 "what ideal helpers' answers and the evaluator's own readings leave open"),
            loss("helper error", "accuracy", free("ideal"), free("assisted"), "trained helpers instead of ideal ones"),
            loss("answer noise", "accuracy", free("assisted"),
                 lambda seed: seed["nodes"][root]["accuracy"]["assisted"],
                 "the evaluator's Boltzmann noise and lapses, much of which the reward model averages out"),
        ]  # fmt: skip
    found += [
        loss(
            "reward model",
            "accuracy",
            lambda _: perfect,
            lambda seed: seed["nodes"][root]["reward_model"]["true_accuracy"],
            "test pairs that the fitted reward model puts in the wrong order (helper error included)",
        ),
        loss(
            "judging",
            "true reward",
            reward("oracle"),
            reward(TREE),
            "training on the learnt reward instead of the true one",
        ),
    ]
    if "ceiling" in seeds[0]["protocols"]:
        found.append(
            loss(
                "optimisation",
                "true reward",
                reward("ceiling"),
                reward("oracle"),
                "one sample of a trained policy instead of a search for every input",
            )
        )
    return found


def add_up(ledgers: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The ledgers of all seeds as one."""
    keys = ("protocol", "node", "evaluator", "condition")
    total: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in (row for rows in ledgers for row in rows):
        key = tuple(row[k] for k in keys)
        kept = total.setdefault(key, {k: row[k] for k in keys})
        for name, value in row.items():
            if name not in keys:
                kept[name] = kept.get(name, 0) + value
    return list(total.values())
