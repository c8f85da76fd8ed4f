"""What each section of a report shows: charts and rows, ready for the template. Nothing leaves a section out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rewardtree.studies import asked, charts
from rewardtree.studies.charts import Leaf, Mark, Scale, Series, scale_of
from rewardtree.studies.embedding import embedded
from rewardtree.studies.wording import Style, interval, mean_of, middle, plain_words

CONDITIONS: Mapping[str, tuple[str, str]] = {
    "unaided": ("Unaided", "readings, no claims"),
    "assisted": ("Assisted", "readings, and the trained helpers' claims"),
    "ideal": ("Ideal helpers", "their claims are the best answers there are"),
    "expert": ("Expert", "unlimited readings, no claims"),
    "meter_without_claims": ("Unaided, longer meter", "no claims, as many readings as the whole tree took"),
    "claims_without_meter": ("Claims alone", "trained helpers, no reading to check them with"),
    "heuristic": ("Rule of thumb", "helpers that point at what catches the eye"),
    "random_places": ("Random places", "helpers that tell the truth about places drawn at random"),
    "untrained": ("Untrained helpers", "policies before any training"),
    "shuffled": ("Shuffled claims", "true to some other output"),
    "adversarial": ("Adversarial helpers", "half of the time they point where it looks harmless"),
}
"""Names and meanings, in the order in which they are shown."""
MAIN = ("unaided", "assisted", "ideal", "expert")
BY = {
    "accuracy_by_budget": ("Accuracy by budget", "readings a comparison", "Readings"),
    "accuracy_by_stratum": ("Accuracy by difficulty", "difference in true reward, in usual spreads", "Difference"),
}
EVALUATORS = ("assisted", "unaided", "expert")
YARDSTICKS = ("ceiling", "oracle")

Results = Mapping[str, Any]
Section = dict[str, Any]


def pictures(results: Results) -> list[Section]:
    """The domain's pictures, as far as they are nothing but drawings."""
    found = []
    for picture in results.get("pictures") or ():
        drawn = embedded(str(picture.get("svg", "")))
        if drawn is not None:
            words = {key: picture.get(key, "") for key in ("title", "caption")}
            found.append(words | {"svg": drawn.svg, "wide": drawn.wide})
    return found


def stages(results: Results) -> list[Section]:
    """What policies of every stage are worth, and rules beside them: a chart of the first measure, and all of them."""
    found = []
    for where, known in (results.get("stages") or {}).items():
        measures = list(dict.fromkeys(what for row in known.values() for what in row))
        scale = scale_of([row.get(measures[0]) for row in known.values()], include=(0.0,))
        rows = []
        for who, row in known.items():
            kind = {"trained": "assisted", "imitation": "unaided"}.get(who.split(",")[0], "control")
            first = row.get(measures[0])
            rows.append(_row(who, first, charts.track(scale, [Mark(first, kind)], who)) | {"found": row})
        found.append({"where": plain_words(where), "scale": scale, "rows": rows, "measures": measures})
    return found


def accuracy(root: str, node: Results) -> Section | None:
    """Accuracy at the root by condition."""
    known: Results = node.get("accuracy", {})
    order = [*(kind for kind in CONDITIONS if kind in known), *(kind for kind in known if kind not in CONDITIONS)]
    scale = _share_scale(known.values())
    rows = []
    for kind in order:
        name, note = CONDITIONS.get(kind, (plain_words(kind), ""))
        svg = charts.track(scale, [Mark(known[kind], kind if kind in MAIN else "control")], name)
        row = _row(name, known[kind], svg, "share", note=note)
        free, readings = (node.get(key, {}).get(kind) for key in ("accuracy_noise_free", "readings"))
        row["extra"] = [middle(free, "share"), middle(readings)]
        rows.append(row | {"group": "Conditions" if kind in MAIN else "Controls"})
    extra = "accuracy_noise_free" in node or "readings" in node
    return {"root": root, "scale": scale, "rows": rows, "extra": extra} if rows else None


def people(results: Results) -> Section | None:
    """How much people answered and how good that is: against known answers, each other and the simulation."""
    found: Results = results.get("people") or {}
    told = asked.given(results)
    if not found.get("answers"):
        return {"told": told, "scale": None, "rows": [], "found": None} if told else None
    compared = found["sandwich"]
    shares = (
        ("Without claims", "right answers where the answer is known", compared["unaided"], "unaided"),
        ("With claims in sight", "the same", compared["assisted"], "assisted"),
        ("With claims, after a first answer", "the same", compared["revised"], "assisted"),
        ("As the simulated evaluator", "answers on its side; half where either takes none",
         found["shadow_agreement"], "control"),
        ("Changed their minds", "moved once claims were in sight", compared["changes"]["moved"], "control"),
    )  # fmt: skip
    scale = _share_scale(estimate for _, _, estimate, _ in shares)
    rows = [
        _row(name, estimate, charts.track(scale, [Mark(estimate, kind)], name), "share", note=note)
        for name, note, estimate, kind in shares
        if mean_of(estimate) is not None
    ]
    return {"told": told, "scale": scale, "rows": rows, "found": found}


def tree(results: Results, root: str) -> Section | None:
    """The tree's diagram, and a table of its nodes, the root first."""
    nodes = results["nodes"]
    found = {name: node.get("accuracy", {}) for name, node in nodes.items()}
    leaves = [
        Leaf(name, node.get("helpers", ()), found[name].get("unaided"), found[name].get("assisted"))
        for name, node in nodes.items()
    ]
    if root not in nodes or all(mean_of(leaf.unaided) is None for leaf in leaves):
        return None
    scale = _share_scale(e for leaf in leaves for e in (leaf.unaided, leaf.assisted))
    rewards = [
        kind
        for kind in ("untrained", "trained", "ideal")
        if any(kind in node.get("true_reward", {}) for node in nodes.values())
    ]
    rows = [
        {
            "name": name,
            "task": node.get("task", ""),
            "labels": node.get("labels"),
            "answers": (results.get("answers") or {}).get(name),
            "accuracy": [found[name].get(kind) for kind in ("unaided", "assisted", "expert")],
            "reward": [node.get("true_reward", {}).get(kind) for kind in rewards],
        }
        for name, node in sorted(nodes.items(), key=lambda item: -int(item[1].get("depth", 0)))
    ]
    svg = charts.tree(f"The tree, {root} on top", leaves, root, scale)
    return {"svg": svg, "rows": rows, "rewards": [f"Reward {kind}" for kind in rewards]}


def detail(node: Results) -> list[Section]:
    """Accuracy by the budget of readings, and by how far apart the two outputs are."""
    found = []
    for key, (title, about, head) in BY.items():
        table: Results = node.get(key) or {}
        kinds = [kind for kind in MAIN if any(kind in row for row in table.values())]
        if not kinds:
            continue
        series = [
            Series(CONDITIONS[kind][0], kind, [(float(i), row.get(kind)) for i, row in enumerate(table.values())])
            for kind in kinds
        ]
        y = _share_scale(estimate for row in table.values() for estimate in row.values())
        x = Scale(low=-0.4, high=len(table) - 0.6, ticks=(0.0,))
        names = [str(name).replace("-", "\N{EN DASH}") for name in table]
        found.append({
            "title": title, "about": about, "head": head, "svg": charts.lines(title, series, x, y, names=names),
            "legend": [(kind, CONDITIONS[kind][0]) for kind in kinds],
            "rows": [[name, *(row.get(kind) for kind in kinds)] for name, row in table.items()],
        })  # fmt: skip
    return found


def protocols(results: Results, root: Results) -> Section | None:
    """True reward by protocol, the best first, and what each cost."""
    known: dict[str, Results] = dict(results.get("protocols") or {})
    start = root.get("true_reward", {}).get("untrained")
    if start is not None and "untrained" not in known:
        known["untrained"] = {"title": "Untrained start", "true_reward": start}
    means = {name: mean_of(found.get("true_reward")) for name, found in known.items()}
    scale = scale_of([found.get("true_reward") for found in known.values()])
    rows = []
    for name in sorted(known, key=lambda name: -(-1e300 if means[name] is None else means[name] or 0.0)):
        found = known[name]
        title, sees, reward = _title(name, found), found.get("reward_model_sees"), found.get("true_reward")
        kind = "ceiling" if name in YARDSTICKS else _kind(found)
        note = f"reward model sees {sees}" if sees not in (None, "nothing") else ""
        svg = charts.track(scale, [Mark(reward, kind)], title)
        rows.append(_row(title, reward, svg, note=note) | {"found": found})
    if all(mean is None for mean in means.values()):
        return None
    measures = sorted({key for found in known.values() for key in found.get("measures") or {}})
    return {"scale": scale, "rows": rows, "measures": measures} if rows else None


def curves(results: Results, root: Results) -> list[Section]:
    """Small charts of true reward against labels: protocols on common axes, then nodes on their own."""
    known: Results = results.get("protocols") or {}
    levels = {"untrained": root.get("true_reward", {}).get("untrained")} | {
        name: known[name].get("true_reward") for name in ("untrained", "oracle") if name in known
    }
    levels = {name: level for name, level in levels.items() if mean_of(level) is not None}
    lines = {name: _curve(found, levels.get("untrained")) for name, found in known.items() if _rewarded(found)}
    found = []
    if lines:
        x = scale_of([at for line in lines.values() for at, _ in line], "count", include=(0.0,))
        y = scale_of([e for line in lines.values() for _, e in line] + [mean_of(e) for e in levels.values()])
        across = [
            Series(name, f"level {name}", [(x.low, mean_of(level)), (x.high, mean_of(level))])
            for name, level in levels.items()
        ]
        for name, line in lines.items():
            title = _title(name, known[name])
            others = [Series(other, "cold", points) for other, points in lines.items() if other != name]
            svg = charts.lines(title, [*others, *across, Series(title, _kind(known[name]), line)], x, y)
            found.append({"group": "Protocols", "title": title, "svg": svg, "levels": sorted(levels)})
    for name, node in results["nodes"].items():
        if _rewarded(node):
            points = [(float(step["labels"]), step.get("true_reward")) for step in node["curve"]]
            x = scale_of([at for at, _ in points], "count", include=(0.0,))
            svg = charts.lines(name, [Series(name, "assisted", points)], x, scale_of([e for _, e in points]))
            found.append({"group": "Nodes", "title": name, "svg": svg, "levels": []})
    return found


def _rewarded(found: Results) -> bool:
    """Whether there is a curve of true rewards."""
    return any(step.get("true_reward") is not None for step in found.get("curve") or ())


def errors(results: Results) -> list[Section]:
    """Losses by source, a chart a measure."""
    found = []
    rows = results.get("errors") or ()
    for measure in dict.fromkeys(row["measure"] for row in rows):
        mine = [row for row in rows if row["measure"] == measure]
        style: Style = "share" if measure == "accuracy" else "plain"
        scale = scale_of([row["loss"] for row in mine], style, include=(0.0,))
        bars = [
            _row(plain_words(row["source"]), row["loss"], charts.bar(scale, row["loss"], row["source"]), style,
                 note=row.get("meaning", ""))
            for row in mine
        ]  # fmt: skip
        found.append({"measure": measure, "scale": scale, "rows": bars})
    return found


def trust(results: Results) -> Section | None:
    """How reliable each evaluator found claims about each quantity."""
    scale = Scale(low=0.0, high=1.0, ticks=(0.0, 0.25, 0.5, 0.75, 1.0), style="share")
    rows = []
    for name, node in results["nodes"].items():
        for quantity, found in (node.get("trust") or {}).items():
            svg = charts.track(scale, [Mark(found, "assisted")], quantity)
            rows.append(_row(quantity, found, svg, "share") | {"group": f"{name} asks"})
    return {"scale": scale, "rows": rows} if rows else None


def reward_models(results: Results) -> Section | None:
    """How often reward models order pairs as held-out answers do, and as the true reward does."""
    models: dict[str, Results] = {
        name: node["reward_model"] for name, node in results["nodes"].items() if node.get("reward_model")
    }
    kinds = {"accuracy": "unaided", "true_accuracy": "expert"}
    scale = _share_scale(model.get(key) for model in models.values() for key in kinds)
    rows = []
    for name, model in models.items():
        svg = charts.track(scale, [Mark(model[key], kind) for key, kind in kinds.items() if key in model], name)
        rows.append(_row(name, model.get("accuracy"), svg, "share") | {"model": model})
    return {"scale": scale, "rows": rows} if rows else None


def tables(results: Results) -> dict[str, list[tuple[str, str]]]:
    """Configuration and versions, as names and values."""
    own = {"rewardtree": results["version"]} if results.get("version") else {}
    found = {"Configuration": results.get("config"), "Versions": own | dict(results.get("versions") or {})}
    return {name: list(_flat(table)) for name, table in found.items() if table}


def _row(name: str, estimate: Any, svg: Markup, style: Style = "plain", *, note: str = "") -> Section:
    words = {"text": middle(estimate, style), "ends": interval(estimate, style)}
    return {"name": name, "note": note, "group": "", "svg": svg} | words


def _title(name: str, protocol: Results) -> str:
    return str(protocol.get("title") or plain_words(name))


def _kind(protocol: Results) -> str:
    evaluator = str(protocol.get("evaluator"))
    return evaluator if evaluator in EVALUATORS else "control"


def _curve(protocol: Results, start: Any) -> Sequence[tuple[float, Any]]:
    """Labels and true rewards, from where the root's training begins: labels of helpers come before."""
    steps = [(float(step["labels"]), step.get("true_reward")) for step in protocol["curve"]]
    before = max((mean_of(protocol.get("labels")) or 0.0) - steps[-1][0], 0.0)
    return [(before, mean_of(start)), *((before + labels, reward) for labels, reward in steps)]


def _share_scale(estimates: Iterable[Any]) -> Scale:
    return scale_of(estimates, "share", include=(0.5, 1.0))


def _flat(table: Results, before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", "not set" if value is None else str(value)
