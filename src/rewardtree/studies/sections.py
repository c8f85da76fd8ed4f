"""What each section of a report shows: charts and rows, ready for the template. None, or nothing, leaves it out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rewardtree.studies import charts, wording
from rewardtree.studies.charts import Leaf, Mark, Scale, Series, scale_of
from rewardtree.studies.embedding import embedded
from rewardtree.studies.wording import interval, mean_of, middle, plain_words

CONDITIONS: Mapping[str, tuple[str, str]] = {
    "unaided": ("Unaided", "readings, no claims"),
    "assisted": ("Assisted", "readings, and the trained helpers' claims"),
    "ideal": ("Ideal helpers", "their claims are the best answers there are"),
    "expert": ("Expert", "unlimited readings, no claims"),
    "meter_without_claims": (
        "Unaided, longer meter",
        "no claims, but a share of all readings that the tree took",
    ),
    "claims_without_meter": ("Claims alone", "trained helpers, no reading to check them with"),
    "heuristic": ("Rule of thumb", "helpers that point at what catches the eye"),
    "random_places": ("Random places", "helpers that tell the truth about places drawn at random"),
    "untrained": ("Untrained helpers", "policies before any training"),
    "shuffled": ("Shuffled claims", "true to some other output"),
    "adversarial": ("Adversarial helpers", "half of the time they point where it looks harmless"),
}
MAIN = ("unaided", "assisted", "ideal", "expert")
KINDS = {"assisted": "assisted", "unaided": "unaided", "expert": "expert"}

Results = Mapping[str, Any]


def pictures(results: Results) -> list[dict[str, Any]]:
    found = []
    for picture in results.get("pictures") or ():
        drawn = embedded(str(picture.get("svg", "")))
        if drawn is not None:
            told = {"title": picture.get("title", ""), "caption": picture.get("caption", "")}
            found.append(told | {"svg": drawn.svg, "wide": drawn.wide})
    return found


def accuracy(root: str, node: Results) -> dict[str, Any] | None:
    accuracy: Results = node.get("accuracy", {})
    order = [kind for kind in CONDITIONS if kind in accuracy] + [
        kind for kind in accuracy if kind not in CONDITIONS
    ]
    if not order:
        return None
    scale = _share_scale(accuracy.values())
    rows = []
    for kind in order:
        name, note = CONDITIONS.get(kind, (plain_words(kind), ""))
        group = "Conditions" if kind in MAIN else "Controls"
        mark = Mark(accuracy[kind], kind if kind in MAIN else "control")
        extra = [
            middle(node.get("accuracy_noise_free", {}).get(kind), "share"),
            middle(node.get("readings", {}).get(kind)),
        ]
        rows.append({"name": name, "note": note, "group": group, "svg": charts.track(scale, [mark], name),
                     "text": middle(accuracy[kind], "share"), "ends": interval(accuracy[kind], "share"), "extra": extra})  # fmt: skip
    return {
        "root": root,
        "scale": scale,
        "rows": rows,
        "extra": "accuracy_noise_free" in node or "readings" in node,
    }


def tree(results: Results, root: str) -> dict[str, Any] | None:
    nodes = results["nodes"]
    leaves = [
        Leaf(
            name,
            node.get("helpers", ()),
            node.get("accuracy", {}).get("unaided"),
            node.get("accuracy", {}).get("assisted"),
        )
        for name, node in nodes.items()
    ]
    if root not in nodes or not any(mean_of(leaf.unaided) is not None for leaf in leaves):
        return None
    scale = _share_scale(e for leaf in leaves for e in (leaf.unaided, leaf.assisted))
    deepest = sorted(nodes.items(), key=lambda item: -int(item[1].get("depth", 0)))
    rewards = [
        kind
        for kind in ("untrained", "trained", "ideal")
        if any(kind in node.get("true_reward", {}) for _, node in deepest)
    ]
    rows = [
        {"name": name, "task": node.get("task", ""), "labels": node.get("labels"), "helpers": node.get("helpers", ()),
         "accuracy": [node.get("accuracy", {}).get(kind) for kind in ("unaided", "assisted", "expert")],
         "reward": [node.get("true_reward", {}).get(kind) for kind in rewards]}
        for name, node in deepest
    ]  # fmt: skip
    return {"svg": charts.tree(f"The tree, {root} on top", leaves, root, scale), "rows": rows,
            "rewards": [f"Reward {kind}" for kind in rewards]}  # fmt: skip


def detail(node: Results) -> list[dict[str, Any]]:
    """Accuracy by the budget of readings, and by how far apart the two outputs are."""
    found = []
    for key, title, about in (
        ("accuracy_by_budget", "Accuracy by budget", "readings a comparison"),
        (
            "accuracy_by_stratum",
            "Accuracy by difficulty",
            "difference in true reward, in usual spreads; hard pairs left",
        ),
    ):
        table: Results = node.get(key) or {}
        kinds = [kind for kind in MAIN if any(kind in row for row in table.values())]
        if not kinds:
            continue
        series = [
            Series(
                CONDITIONS[kind][0],
                kind,
                [(i, row[kind]) for i, row in enumerate(table.values()) if kind in row],
            )
            for kind in kinds
        ]
        y = _share_scale(e for row in table.values() for e in row.values())
        x = Scale(low=-0.4, high=len(table) - 0.6, ticks=(0,))
        svg = charts.lines(
            title, series, x, y, names=[str(name).replace("-", "\N{EN DASH}") for name in table]
        )
        rows = [[name, *(row.get(kind) for kind in kinds)] for name, row in table.items()]
        legend = [(kind, CONDITIONS[kind][0]) for kind in kinds]
        found.append({"title": title, "about": about, "svg": svg, "legend": legend, "rows": rows})
    return found


def protocols(results: Results, root: Results) -> dict[str, Any] | None:
    protocols: Results = results.get("protocols") or {}
    rewards = {name: found.get("true_reward") for name, found in protocols.items()}
    start = root.get("true_reward", {}).get("untrained")
    rows = [(name, protocols[name], rewards[name]) for name in protocols]
    if start is not None and "untrained" not in protocols:
        rows.insert(0, ("untrained", {"title": "Untrained start"}, start))
    if not rows:
        return None
    rows.sort(key=lambda row: (mean_of(row[2]) is None, -(mean_of(row[2]) or 0.0)))
    scale = scale_of([reward for *_, reward in rows])
    lines = []
    for name, found, reward in rows:
        title = str(found.get("title") or plain_words(name))
        kind = (
            "ceiling" if name in ("ceiling", "oracle") else KINDS.get(str(found.get("evaluator")), "control")
        )
        lines.append({"name": title, "note": _inputs(found), "svg": charts.track(scale, [Mark(reward, kind)], title),
                      "text": middle(reward), "ends": interval(reward), "group": "", "found": found})  # fmt: skip
    measures = sorted({key for found in protocols.values() for key in found.get("measures") or {}})
    return {"scale": scale, "rows": lines, "measures": measures}


def _inputs(found: Results) -> str:
    sees = found.get("reward_model_sees")
    return f"reward model sees {sees}" if sees not in (None, "nothing") else ""


def curves(results: Results) -> list[dict[str, Any]]:
    """Small charts of true reward against labels: one a protocol on common axes, then one a node on its own."""
    found: list[dict[str, Any]] = []
    protocols: Results = results.get("protocols") or {}
    yardsticks = {
        name: protocols[name].get("true_reward") for name in ("untrained", "oracle") if name in protocols
    }
    curves: dict[str, Sequence[tuple[float, Any]]] = {}
    for name, protocol in protocols.items():
        spent = mean_of(protocol.get("labels")) or 0.0
        curve = [(float(step["labels"]), step["true_reward"]) for step in protocol.get("curve") or ()]
        before = max(spent - curve[-1][0], 0.0) if curve else 0.0  # labels of the helpers, which come first
        if curve:
            start = [(before, mean_of(yardsticks["untrained"]))] if "untrained" in yardsticks else []
            curves[name] = start + [(before + labels, reward) for labels, reward in curve]
    if curves:
        x = scale_of([at for curve in curves.values() for at, _ in curve], "count", include=(0.0,))
        y = scale_of(
            [e for curve in curves.values() for _, e in curve] + [mean_of(e) for e in yardsticks.values()]
        )
        across = [
            Series(name, f"level {name}", [(x.low, mean_of(e)), (x.high, mean_of(e))])
            for name, e in yardsticks.items()
        ]
        for name, curve in curves.items():
            protocol = protocols[name]
            title = str(protocol.get("title") or plain_words(name))
            cold = [Series(other, "cold", points) for other, points in curves.items() if other != name]
            kind = KINDS.get(str(protocol.get("evaluator")), "control")
            svg = charts.lines(title, [*cold, *across, Series(title, kind, curve)], x, y)
            found.append({"group": "Protocols", "title": title, "svg": svg, "levels": sorted(yardsticks)})
    for name, node in results["nodes"].items():
        steps = node.get("curve") or ()
        if steps:
            points = [(float(step["labels"]), step.get("true_reward")) for step in steps]
            x, y = (
                scale_of([at for at, _ in points], "count", include=(0.0,)),
                scale_of([e for _, e in points]),
            )
            svg = charts.lines(name, [Series(name, "assisted", points)], x, y)
            found.append({"group": "Nodes", "title": name, "svg": svg, "levels": []})
    return found


def errors(results: Results) -> list[dict[str, Any]]:
    found = []
    rows = results.get("errors") or ()
    for measure in dict.fromkeys(row["measure"] for row in rows):
        mine = [row for row in rows if row["measure"] == measure]
        style: wording.Style = "share" if measure == "accuracy" else "plain"
        scale = scale_of([row["loss"] for row in mine], style, include=(0.0,))
        bars = [
            {"name": plain_words(row["source"]), "note": row.get("meaning", ""), "group": "",
             "svg": charts.bar(scale, row["loss"], row["source"]),
             "text": middle(row["loss"], style), "ends": interval(row["loss"], style)}
            for row in mine
        ]  # fmt: skip
        found.append({"measure": measure, "scale": scale, "rows": bars})
    return found


def trust(results: Results) -> dict[str, Any] | None:
    scale = Scale(low=0.0, high=1.0, ticks=(0.0, 0.25, 0.5, 0.75, 1.0), style="share")
    rows = [
        {"name": quantity, "note": "", "group": f"{name} asks", "svg": charts.track(scale, [Mark(e, "assisted")], quantity),
         "text": middle(e, "share"), "ends": interval(e, "share")}
        for name, node in results["nodes"].items()
        for quantity, e in (node.get("trust") or {}).items()
    ]  # fmt: skip
    return {"scale": scale, "rows": rows} if rows else None


def reward_models(results: Results) -> dict[str, Any] | None:
    models = {
        name: node["reward_model"] for name, node in results["nodes"].items() if node.get("reward_model")
    }
    keys = ("accuracy", "true_accuracy")
    if not models:
        return None
    scale = _share_scale(model.get(key) for model in models.values() for key in keys)
    rows = [
        {"name": name, "note": "", "group": "", "text": middle(model.get("accuracy"), "share"),
         "svg": charts.track(scale, [Mark(model[key], kind) for key, kind in zip(keys, ("unaided", "expert"), strict=True) if key in model], name),
         "ends": "", "model": model}
        for name, model in models.items()
    ]  # fmt: skip
    return {"scale": scale, "rows": rows}


def _share_scale(estimates: Iterable[Any]) -> Scale:
    return scale_of(estimates, "share", include=(0.5, 1.0))


def tables(results: Results) -> Iterator[tuple[str, Any]]:
    known = {"rewardtree": results["version"]} if results.get("version") else {}
    tables = {
        "Configuration": results.get("config") or {},
        "Versions": known | dict(results.get("versions") or {}),
    }
    yield "tables", {name: list(_flat(table)) for name, table in tables.items() if table}


def _flat(table: Results, before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", "–" if value is None else str(value)
