"""A language model as a run's judge: made from the configuration, and what its answers were worth and cost."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.evaluators.calibration import Experience
from rewardtree.language.completing import Options
from rewardtree.language.local import Local
from rewardtree.language.named import ready
from rewardtree.language.references import ModelRef
from rewardtree.language.spending import Spent, noted, total
from rewardtree.policies.asking import POLICY
from rewardtree.preferences import Store
from rewardtree.preferences.values import PERSON
from rewardtree.studies.config import SPENT, RunConfig
from rewardtree.studies.estimates import of_items
from rewardtree.studies.places import write_whole
from rewardtree.studies.wording import both, middle
from rewardtree.tasks.task import Measured
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.comparing import opinions
from rewardtree.tree.judge_accuracy import judge_accuracy
from rewardtree.tree.judging import Judged, Judges
from rewardtree.tree.node import Node, Tree

SAID = "judged"
"""Where it is kept what a seed's judge said, in the seed's folder."""


AGREEMENT = {"simulated": "of the simulated evaluator's answers", "people": "of people's"}
"""Whose answers the judge's are compared with, in words."""


def name_of(config: RunConfig) -> str:
    """The judge's name as an evaluator."""
    return f"judge/{Path(str(config.judge_model)).name}"


def judges_of(config: RunConfig, seed: int, out: Path, root: Callable[[], str]) -> Judges | None:
    """How a language model takes part in a seed; None where it does not.

    Args:
        config: of the run.
        seed: this one.
        out: its folder.
        root: gives the name of the tree's root, which is judged where no node is named.

    Raises:
        LanguageError: where the model cannot be had, or has no chat template.
    """
    if config.judge_model is None:
        return None
    model = config.model(config.judge_model, "judge_model", out)
    return Judges(
        nodes=frozenset(config.judge_nodes or (root(),)),
        complete=Local(model=ready(model), spent=out / SPENT) if isinstance(model, ModelRef) else model,
        name=name_of(config),
        share=config.judge_share,
        view=config.judge_view,
        calibration=config.judge_calibration,
        seed=seed,
        options=Options(max_tokens=config.judge_tokens, top=5),
        note=lambda node, place, judged: _write(out, node, place, judged),
    )


def _write(out: Path, node: str, place: str, judged: Judged) -> None:
    """Keep what it said; going on with a run writes the same file again."""
    path = out / SAID / node / f"{place.replace('/', '-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {"probability": judged.probability.tolist(), "orders": judged.orders.tolist()}
    said = {"ids": list(judged.ids), "labels": judged.labels, "temperature": judged.temperature} | numbers
    write_whole(path, json.dumps(said))


def measured(
    judges: Judges, tree: Tree, nodes: Mapping[str, Trained], experience: Callable[[Node], Experience], pairs: int,
    seed: int,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """How often the judge is right on test pairs, by node.

    Returns:
        As facts of a seed: `accuracy_unaided` and, where helpers assist, `accuracy_assisted`, shares of its answers in
        the true order (half for ties and can't tell); `readings_unaided`, `readings_assisted`; `consistent`, the share
        of pairs, of both kinds, in which it names the same output whichever stands first.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in tree.leaves_first() if pairs else ():
        if node.name in judges.nodes and isinstance(node.task, Measured):
            right = judge_accuracy(judges, tree, node, nodes, experience(node), pairs, seed=seed)
            same = np.concatenate([one.consistent for one in right.values()])
            found[node.name] = {f"accuracy_{kind}": of_items(one.share) for kind, one in right.items()}
            found[node.name] |= {f"readings_{kind}": of_items(one.readings) for kind, one in right.items()}
            found[node.name]["consistent"] = of_items(same)
    return found


def facts(out: Path, store: Store) -> dict[str, dict[str, Any]]:
    """What the judge's answers were worth, by node.

    Returns:
        As facts of a seed: `simulated` and `people`, shares of answers on the same side as the simulated evaluator's
        and as people's (half where either takes none); `unreadable`, the share of answers, two a comparison, in which
        no verdict could be read; `cant_tell`, of comparisons; `lean`, nats towards the output that stands first;
        `temperature`.
    """
    found = {}
    for folder in sorted((out / SAID).glob("*")):
        parts = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        ids = [one for part in parts for one in part["ids"]]
        said, orders = (
            np.array([one for part in parts for one in part[key]], float) for key in ("probability", "orders")
        )
        asked, answers = store.comparisons(ids), store.answers(ids)
        people = opinions(
            store, {i: [p for p in given if p.evaluator.startswith(PERSON)] for i, given in answers.items()}
        )
        shadows = [asked[one].shadow if one in asked else None for one in ids]
        found[folder.name] = {
            "simulated": of_items(_agreement(said, np.array(shadows, float))),
            "people": of_items(_agreement(said, np.array([people.get(one, np.nan) for one in ids], float))),
            "unreadable": of_items(np.isnan(orders).ravel().astype(float)),
            "cant_tell": of_items(np.isnan(said).astype(float)),
            "lean": of_items((orders[:, 0] - orders[:, 1]) / 2),
            "temperature": {"mean": parts[-1]["temperature"], "error": 0.0, "n": 1},
        }  # fmt: skip
    return found


def _agreement(said: Float[np.ndarray, " batch"], other: Float[np.ndarray, " batch"]) -> Float[np.ndarray, " batch"]:
    """1 where both take the same side, 0 where they don't, half where one takes none; nan where there is no other."""
    sides = np.sign(np.nan_to_num(said, nan=0.5) - 0.5) * np.sign(other - 0.5)
    shares: Float[np.ndarray, " batch"] = 0.5 + 0.5 * sides
    return shares


def charged(rows: Sequence[Mapping[str, Any]], out: Path, config: RunConfig, protocol: str) -> list[dict[str, Any]]:
    """The ledger's rows with what language models cost.

    It stands on the judge's own row, on a new one where it gave no labels, for measuring on one whose condition is
    `test`, and for the model that is a node's policy on a row of that policy's.
    """
    none, spent = asdict(Spent()), noted(out / SPENT)
    found = [dict(row) | none for row in rows]
    for purpose, cost in spent.items():
        node, _, part = purpose.removeprefix(POLICY).partition("/")
        asks = purpose.startswith(POLICY)
        name = f"{POLICY}{Path(config.models.get(node, '')).name}" if asks else name_of(config)
        own = [row for row in found if (row["node"], row["evaluator"]) == (node, name) and not part]
        if own:
            own[0] |= asdict(cost)
        else:
            empty = {key: 0 for key, value in rows[0].items() if isinstance(value, int | float)} if rows else {}
            found.append({"protocol": protocol, "node": node, "evaluator": name, "condition": part or "beside"} | empty
                         | asdict(cost))  # fmt: skip
    return found


def told(results: Mapping[str, Any]) -> list[str]:
    """Of a run's results, what its judge did and cost, in sentences."""
    if not results.get("judge"):
        return []
    names = tuple(asdict(Spent()))
    own = [row for row in results["ledger"] if "requests" in row and not row["evaluator"].startswith(POLICY)]
    spent = total(Spent(**{name: row[name] for name in names}) for row in own)
    found = [
        f"The judge made {spent.requests} requests ({spent.failed} more failed): {spent.prompt_tokens} tokens read, "
        f"{spent.completion_tokens} written, cost {spent.cost:.4g}."
    ]
    for node, one in results["judge"].items():
        right = {kind: one.get(f"accuracy_{kind}") for kind in ("unaided", "assisted")}
        shares = [f"{both(value, 'share')} {kind}" for kind, value in right.items() if value and value["n"]]
        if shares:
            same = middle(one["consistent"], "share")
            found.append(f"At {node} it is right on {' and '.join(shares)}, and names the same output in both orders "
                         f"on {same}.")  # fmt: skip
        known = {kind: one[kind]["mean"] for kind in AGREEMENT if kind in one and one[kind]["mean"] is not None}
        if known:
            agrees = " and ".join(f"{mean:.0%} {AGREEMENT[kind]}" for kind, mean in known.items())
            lost = one["unreadable"]["mean"]
            found.append(f"At {node} it agrees with {agrees}; {lost:.1%} of its answers could not be read.")
    return found


def section(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a report says of the judge, ready for the template."""
    found = results.get("judge")
    if not found:
        return None
    columns = list(dict.fromkeys(key for row in found.values() for key in row))
    return {"told": told(results), "rows": found, "columns": columns}
