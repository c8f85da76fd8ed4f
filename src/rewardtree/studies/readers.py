"""Roots without a true reward: which outputs readers prefer, before and after training, on test inputs.

Beside what the policies make stands what nobody had to make, where the task has it (`rewardtree.tasks.task.Readable`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.studies import charts
from rewardtree.studies.charts import Mark, scale_of
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import of_items
from rewardtree.studies.wording import both, ends_of, interval, mean_of, middle, plain_words
from rewardtree.tasks.task import Readable
from rewardtree.tree.evaluating import assistance, readers_of
from rewardtree.tree.loop import helpers_of
from rewardtree.tree.measure import FROZEN
from rewardtree.tree.seen import Joined
from rewardtree.tree.winning import Compared, by_judge, by_people

Results = Mapping[str, Any]
MAIN = ("trained", "untrained")
PAIRS = (MAIN, ("original", "untrained"), ("original", "trained"))
"""Who is compared with whom; a share above one half is in favour of the first."""
EXAMPLES = 6
"""Inputs of which a report shows what was made."""
WORDS = {"trained": "after training", "untrained": "before training", "original": "the original"}


def facts(outcome: Outcome, setting: Setting, config: RunConfig) -> dict[str, Any]:
    """What readers say of a root's policy, as facts of a seed.

    Returns:
        `readers`: `wins.PAIR.WHO`, the shares of inputs on which who reads prefers the first of a pair;
        `consistent.PAIR`, those on which a language model names the same one in both orders; `measures.POLICY.NAME`.
        `examples`: what was made of some inputs.
    """
    compared, outputs = _outputs(outcome, setting, config.judge_pairs)
    wins: dict[str, Any] = {}
    consistent, preferred = {}, {}
    for pair in PAIRS if config.judge_pairs else ():
        if not set(pair) <= outputs.keys():
            continue
        name, told = " over ".join(pair), wins.setdefault(" over ".join(pair), {})
        one = Compared(node=compared.node, judging=compared.judging, inputs=compared.inputs,
                       outputs=(outputs[pair[0]], outputs[pair[1]]))  # fmt: skip
        for who, share, same in _read(one, outcome, setting, name):
            told[who] = of_items(share)
            preferred[(name, who)] = share
            if same is not None:
                consistent[name] = of_items(same)
    task = compared.node.task
    measures = {who: {what: of_items(values) for what, values in task.measures(compared.inputs, made).items()}
                for who, made in outputs.items()}  # fmt: skip
    said = {who: share for (name, who), share in preferred.items() if name == " over ".join(MAIN)}
    found = {"readers": {"wins": wins, "consistent": consistent, "measures": measures}}
    return found | {"examples": list(_examples(task, compared.inputs, outputs, said))}


def _outputs(outcome: Outcome, setting: Setting, count: int) -> tuple[Compared, dict[str, Any]]:
    """Test inputs, and what each policy makes of them under the same chance."""
    root = outcome.tree.nodes[outcome.tree.root]
    trained = outcome.nodes[root.name]
    inputs = root.task.sample(np.random.default_rng([FROZEN, 1, *root.name.encode()]), max(count, EXAMPLES), "test")
    policies = {"trained": trained.policy, "untrained": trained.untrained}
    made = {who: policy.propose(inputs, np.random.default_rng(FROZEN)) for who, policy in policies.items()}
    if isinstance(root.task, Readable):
        made["original"] = root.task.originals(inputs)
    judging = readers_of(root, helpers_of(outcome.tree, root, outcome.nodes), np.random.default_rng(FROZEN))
    compared = Compared(node=root, judging=judging, inputs=inputs, outputs=(made["trained"], made["untrained"]))
    return compared, made


def _read(
    compared: Compared, outcome: Outcome, setting: Setting, name: str
) -> Iterator[tuple[str, Any, Any]]:  # fmt: skip
    """Who read, the shares in favour of the first, and where both orders were asked, whether they agree."""
    root, trained = compared.node, outcome.nodes[compared.node.name]
    helpers = helpers_of(outcome.tree, root, outcome.nodes)
    reward = Joined(node=root, assist=assistance(root, helpers), model=trained.reward_model)
    if setting.judges is not None and root.name in setting.judges.nodes:
        found = by_judge(setting.judges, compared)
        yield setting.judges.name, found.share, found.consistent
    if setting.people is not None and root.name in setting.people.nodes and name == " over ".join(MAIN):
        told = by_people(setting.store, setting.people, compared, reward, f"{setting.settings.seed}/{name}")
        yield "people", 0.5 + 0.5 * np.sign(told - 0.5), None
    scores = [reward(compared.inputs, side) for side in compared.outputs]
    yield "reward model", 0.5 + 0.5 * np.sign(scores[0] - scores[1]), None


def _examples(task: Any, inputs: Any, outputs: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Some inputs with what was made of them, in words."""
    words = {1.0: WORDS["trained"], 0.0: WORDS["untrained"], 0.5: "neither"}
    for row in range(EXAMPLES) if isinstance(task, Readable) else ():
        title, given = task.given(inputs, row)
        prefers = [f"{who}: {words[float(share[row])]}" for who, share in said.items() if not np.isnan(share[row])]
        made = [{"who": WORDS[who], "text": task.made(inputs, one, row)} for who, one in outputs.items()]
        yield {"title": title, "given": given, "made": made, "said": "; ".join(prefers)}


def verdict(results: Results) -> str:
    """The main finding in sentences: whether readers prefer what was made after training."""
    root, told = results["root"], results["readers"]["wins"].get(" over ".join(MAIN), {})
    why = f"{root} has no true reward: readers alone say what its outputs are worth, and nothing is measured by it."
    parts = []
    for who, share in told.items():
        if mean_of(share) is not None:
            ends = ends_of(share)
            chance = " (this may be chance)" if ends and ends[0] <= 0.5 <= ends[1] else ""
            parts.append(f"{_reader(who)} prefers what was made after training on {both(share, 'share')}{chance}")
    if not parts:
        return f"{why} This run asked nobody which policy's outputs are better."
    return f"Of test inputs, 50 % being no preference, {'; '.join(parts)}. {why}"


def _reader(who: str) -> str:
    return {"people": "the majority of people asked", "reward model": "the reward model, which training raises,"}.get(
        who, f"the judge ({who.removeprefix('judge/')})"
    )


def section(results: Results) -> dict[str, Any] | None:
    """What a report says of readers, ready for the template."""
    found = results.get("readers")
    if not found:
        return None
    shares = [share for told in found["wins"].values() for share in told.values()]
    scale = scale_of(shares, "share", include=(0.0, 0.5, 1.0))
    rows = []
    for name, told in found["wins"].items():
        first, second = (WORDS[one] for one in name.split(" over "))
        for who, share in told.items():
            note = ""
            if who.startswith("judge/") and name in found["consistent"]:
                note = f"the same one in both orders on {middle(found['consistent'][name], 'share')}"
            kind = "control" if who == "reward model" else "assisted"
            rows.append({
                "name": who, "note": note, "group": f"{first} rather than {second}",
                "svg": charts.track(scale, [Mark(share, kind)], f"{who}: {name}"),
                "text": middle(share, "share"), "ends": interval(share, "share"),
            })  # fmt: skip
    kinds = list(found["measures"])
    names = list(found["measures"][kinds[0]]) if kinds else []
    measures = [[plain_words(name), *(found["measures"][who][name] for who in kinds)] for name in names]
    return {"scale": scale, "rows": rows, "who": [WORDS[who] for who in kinds], "measures": measures,
            "examples": results.get("examples") or []}  # fmt: skip
