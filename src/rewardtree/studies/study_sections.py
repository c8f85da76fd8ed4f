"""What each section of a study's page shows: charts and rows, ready for the template. Nothing leaves a section out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rewardtree.protocols.recursive_reward_modeling import NAME as BASELINE
from rewardtree.studies import charts, study_charts
from rewardtree.studies.charts import Mark, Scale, Series, scale_of
from rewardtree.studies.comparing_schemes import COSTS, clear_winner
from rewardtree.studies.study_charts import Curve
from rewardtree.studies.wording import Style, interval, mean_of, middle, number, plain_words

Results = Mapping[str, Any]
Section = dict[str, Any]

CONDITIONS = ("unaided", "assisted", "expert")
LADDER = (
    ("unaided_optimum", "control", "Best unaided evaluator there can be", "Best unaided"),
    ("unaided", "unaided", "Unaided evaluator", "Unaided"),
    ("assisted", "assisted", "Assisted evaluator", "Assisted"),
    ("root_accuracy", "ideal", "Root's policy", "Root"),
    ("expert_root_accuracy", "expert", "Root's policy, expert evaluator", "Expert"),
    ("root_accuracy_output", None, "", "Root, output"),
    ("expert_root_accuracy_output", None, "", "Expert, output"),
)
"""Figures of the depth ladder: name, kind of its line if it has one, words, a few words."""
STYLES: Mapping[str, Style] = {"seconds": "seconds"}


def style(results: Results) -> Style:
    """How true rewards are written."""
    return "share" if results.get("unit") == "share" else "plain"


def rewards_at(results: Results, budget: str, *, yardsticks: bool) -> dict[str, Any]:
    """Known true rewards by scheme, the best first; of yardsticks, or of the schemes that compete."""
    found = {
        name: scheme["by_budget"][budget].get("true_reward")
        for name, scheme in results["schemes"].items()
        if budget in scheme["by_budget"] and bool(scheme.get("yardstick")) is yardsticks
    }
    known = {name: value for name, e in found.items() if (value := mean_of(e)) is not None}
    return {name: found[name] for name in sorted(known, key=lambda name: -known[name])}


def largest(results: Results) -> str | None:
    """The largest budget at which a scheme has a true reward."""
    budgets = sorted((str(budget) for budget in results["budgets"]), key=float, reverse=True)
    competing = [budget for budget in budgets if rewards_at(results, budget, yardsticks=False)]
    return competing[0] if competing else None


def ranking(results: Results) -> Section | None:
    """True reward at the largest budget, the best first, yardsticks behind."""
    budget = largest(results)
    if budget is None:
        return None
    found = [(rewards_at(results, budget, yardsticks=kind), kind) for kind in (False, True)]
    scale = scale_of([e for rewards, _ in found for e in rewards.values()], style(results))
    rows = []
    for rewards, yardstick in found:
        for name, reward in rewards.items():
            title = results["schemes"][name]["title"]
            kind = f"scheme s{_numbers(results)[name] % study_charts.COLOURS}" + (" yardstick" if yardstick else "")
            svg = charts.track(scale, [Mark(reward, kind)], title)
            row = _row(title, reward, svg, style(results), note=_note(results, name, budget))
            rows.append(row | {"group": "Yardsticks" if yardstick else "Schemes" if found[1][0] else ""})
    return {"scale": scale, "rows": rows, "labels": number(float(budget), "count"), "yardsticks": bool(found[1][0])}


def curves(results: Results) -> list[Section]:
    """True reward against labels, and against readings where there were any."""
    if len(results["budgets"]) < 2:
        return []
    y = scale_of(
        [p["true_reward"] for s in results["schemes"].values() for p in s["by_budget"].values()], style(results)
    )
    found = []
    for key, words in (("labels", "labels spent on the whole tree"), ("readings", "readings spent on the whole tree")):
        lines = _lines(results, key)
        places = [at for line in lines for at, _ in line.points]
        if len(set(places)) < 2:
            continue
        named = [float(budget) for budget in results["budgets"]] if key == "labels" else []
        x = study_charts.axis_of([*places, *named], named)
        title = f"True reward against {key}"
        svg = study_charts.curves(title, lines, x, y)
        found.append({"title": title, "svg": svg, "x": words + (", logarithmic" if x.logged else ""), "lines": lines})
    return found


def _lines(results: Results, key: str) -> list[Curve]:
    """A scheme's line each, that of recursive reward modelling first."""
    numbers, lines = _numbers(results), []
    for name in sorted(results["schemes"], key=lambda name: numbers[name]):
        scheme = results["schemes"][name]
        points = []
        for budget, point in scheme["by_budget"].items():
            spent = mean_of(point.get(key)) or (float(budget) if key == "labels" else 0.0)
            if spent > 0 and mean_of(point.get("true_reward")) is not None:
                points.append((spent, point["true_reward"]))
        if points:
            yardstick = bool(scheme.get("yardstick"))
            lines.append(Curve(scheme["title"], numbers[name], name == BASELINE, yardstick, sorted(points, key=_place)))
    return lines


def table(results: Results) -> Section | None:
    """True reward of every scheme at every budget; the best is marked where its interval is clear of all others."""
    budgets = [str(budget) for budget in results["budgets"]]
    if not results["schemes"]:
        return None
    best = {budget: clear_winner(rewards_at(results, budget, yardsticks=False)) for budget in budgets}
    rows = []
    for name in sorted(results["schemes"], key=lambda name: _order(results, name)):
        scheme = results["schemes"][name]
        cells = [
            {"reward": point.get("true_reward"), "best": best[budget] == name, "note": _seeds(point)}
            if (point := scheme["by_budget"].get(budget))
            else None
            for budget in budgets
        ]
        swatch = study_charts.swatch(_numbers(results)[name], bool(scheme.get("yardstick")))
        rows.append({"title": scheme["title"], "note": _sees(scheme), "swatch": swatch, "cells": cells})
    heads = [f"{number(float(budget), 'count')} labels" for budget in budgets]
    return {"heads": heads, "rows": rows, "marked": any(best.values())}


def improvement(results: Results) -> Section | None:
    """How likely a run of recursive reward modelling beats one of each other scheme; one seed says nothing of it."""
    found: Results = results.get("improvement") or {}
    budgets = [budget for budget in sorted(found, key=float) if any(e.get("n", 0) > 1 for e in found[budget].values())]
    if not budgets:
        return None
    scale = Scale(low=0.0, high=1.0, ticks=(0.0, 0.25, 0.5, 0.75, 1.0), style="share")
    last, rows = found[budgets[-1]], []
    for name in sorted(last, key=lambda name: -(mean_of(last[name]) or 0.0)):
        title = results["schemes"][name]["title"]
        rows.append(_row(title, last[name], charts.track(scale, [Mark(last[name], _side(last[name]))], title), "share"))
    every = [
        {
            "labels": number(float(budget), "count"),
            "title": results["schemes"][name]["title"],
            "chance": estimate,
            "difference": (results.get("difference") or {}).get(budget, {}).get(name),
        }
        for budget in reversed(budgets)
        for name, estimate in found[budget].items()
    ]
    return {
        "scale": scale, "rows": rows, "every": every, "labels": number(float(budgets[-1]), "count"),
        "baseline": results["schemes"][BASELINE]["title"], "style": style(results),
    }  # fmt: skip


def evaluators(results: Results) -> Section | None:
    """How often the evaluator is right at every level, at each scheme's largest budget; all budgets as a table."""
    found: Results = results.get("evaluators") or {}
    every = [
        {"name": name, "budget": budget, "level": plain_words(level), "found": levels[level]}
        for name in sorted(found, key=lambda name: _order(results, name))
        for budget, levels in sorted(found[name].items(), key=lambda pair: -float(pair[0]))
        for level in sorted(levels, key=level_order)
        if any(mean_of(e) is not None for e in levels[level].values())
    ]
    if not every:
        return None
    known = {condition for row in every for condition in row["found"]}
    conditions = [c for c in CONDITIONS if c in known] + sorted(known - {*CONDITIONS})
    scale = scale_of([e for row in every for e in row["found"].values()], "share", include=(0.5, 1.0))
    shown: dict[str, str] = {}
    rows = []
    for row in every:
        if shown.setdefault(row["name"], row["budget"]) == row["budget"]:
            marks = [
                Mark(row["found"][c], c if c in CONDITIONS else "control") for c in conditions if c in row["found"]
            ]
            svg = charts.track(scale, marks, row["level"])
            words = [middle(row["found"][c], "share") for c in ("unaided", "assisted") if c in row["found"]]
            text = " → ".join(words) or middle(marks[0].estimate, "share")
            expert = f"expert {middle(row['found']['expert'], 'share')}" if "expert" in row["found"] else ""
            group = f"{results['schemes'][row['name']]['title']}, {number(float(row['budget']), 'count')} labels"
            rows.append({"name": row["level"], "note": "", "group": group, "svg": svg, "text": text, "ends": expert})
        row["title"], row["labels"] = results["schemes"][row["name"]]["title"], number(float(row["budget"]), "count")
    legend = [(c if c in CONDITIONS else "control", plain_words(c)) for c in conditions]
    return {"scale": scale, "rows": rows, "legend": legend, "conditions": conditions, "every": every}


def ladder(results: Results) -> Section | None:
    """Accuracy against depth, a chart a task, and the figures with reasons."""
    rows: Sequence[Results] = results.get("ladder") or ()
    if not rows:
        return None
    kinds = [part for part in LADDER if any(mean_of(row.get(part[0])) is not None for row in rows)]
    drawn = [part for part in kinds if part[1]]
    y = scale_of([row.get(key) for row in rows for key, *_ in drawn], "share", include=(0.5, 1.0))
    found = []
    for task in dict.fromkeys(row["task"] for row in rows):
        mine = sorted((row for row in rows if row["task"] == task), key=lambda row: row["depth"])
        depths = [float(row["depth"]) for row in mine]
        x = Scale(low=min(depths) - 0.3, high=max(depths) + 0.3, ticks=tuple(dict.fromkeys(depths)), style="count")
        series = [Series(words, kind, [(at, row.get(key)) for at, row in zip(depths, mine, strict=True)])
                  for key, kind, words, _ in drawn]  # fmt: skip
        series = [line for line in series if any(mean_of(e) is not None for _, e in line.points)]
        svg = charts.lines(f"{plain_words(task)}: accuracy against depth", series, x, y)
        found.append({"task": plain_words(task), "svg": svg, "rows": [_rung(row, kinds) for row in mine]})
    return {"tasks": found, "kinds": kinds, "drawn": drawn}


def _rung(row: Results, kinds: Sequence[tuple[Any, ...]]) -> Section:
    """A row of the ladder's table: words of each figure and of its interval."""
    shown = [(number(value, "share", digits=1), "") if key == "unaided_optimum" and (value := mean_of(row.get(key)))
             else (middle(row.get(key), "share"), interval(row.get(key), "share")) for key, *_ in kinds]  # fmt: skip
    cost = [(middle(row.get("labels"), "count"), ""), (middle(row.get("seconds"), "seconds"), "")]
    return {"depth": row["depth"], "cells": shown + cost, "why": row.get("why") or []}


def costs(results: Results) -> list[Section]:
    """What a run cost on average, a table a budget, the largest first; columns that are nothing are left out."""
    points = [point for scheme in results["schemes"].values() for point in scheme["by_budget"].values()]
    columns = [key for key in COSTS if key == "labels" or any(mean_of(point.get(key)) for point in points)]
    found = []
    for budget in sorted(map(str, results["budgets"]), key=float, reverse=True):
        rows = [
            {"title": results["schemes"][name]["title"], "evaluator": results["schemes"][name].get("evaluator"),
             "cells": [(point.get(key), STYLES.get(key, "count")) for key in columns]}
            for name in sorted(results["schemes"], key=lambda name: _order(results, name))
            if (point := results["schemes"][name]["by_budget"].get(budget))
        ]  # fmt: skip
        if rows:
            heads = ["Time" if key == "seconds" else plain_words(key) for key in columns]
            found.append({"labels": number(float(budget), "count"), "heads": heads, "rows": rows})
    return found


def failed(results: Results) -> list[Section]:
    """Runs without a result, and why."""
    return [dict(run) | {"labels": number(float(run["budget"]), "count")} for run in results.get("failed") or ()]


def level_order(level: str) -> tuple[int, str]:
    """Levels by their number, those without one last."""
    digits = level.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 10**9, level)


def _numbers(results: Results) -> dict[str, int]:
    """A colour's number a scheme: recursive reward modelling has the first."""
    names = [name for name in results["schemes"] if name != BASELINE]
    return {BASELINE: 0} | {name: i + 1 for i, name in enumerate(names)}


def _order(results: Results, name: str) -> tuple[bool, bool, int]:
    return bool(results["schemes"][name].get("yardstick")), name != BASELINE, _numbers(results)[name]


def _side(chance: Any) -> str:
    """The kind of mark: better for certain, worse for certain, or neither."""
    low, high = (mean_of(chance.get(end)) for end in ("low", "high"))
    if low is not None and low > 0.5:
        return "assisted"
    return "unaided" if high is not None and high < 0.5 else "control"


def _sees(scheme: Results) -> str:
    sees, evaluator = scheme.get("reward_model_sees"), scheme.get("evaluator")
    parts = [f"{evaluator} evaluator" if evaluator else "", f"reward model sees {sees}" if sees else ""]
    return "; ".join(part for part in parts if part)


def _seeds(point: Results) -> str:
    """How many of the seeds count, where it is not all."""
    reward, asked = point.get("true_reward"), point.get("asked", 0)
    count = int(reward.get("n") or 0) if isinstance(reward, Mapping) else 0
    if count == asked:
        return ""
    return "failed" if count == 0 else f"{count} of {asked} seeds"


def _note(results: Results, name: str, budget: str) -> str:
    scheme = results["schemes"][name]
    parts = [_sees(scheme), _seeds(scheme["by_budget"][budget])]
    return "; ".join(part for part in parts if part)


def _row(name: str, estimate: Any, svg: Any, style: Style, *, note: str = "") -> Section:
    words = {"text": middle(estimate, style), "ends": interval(estimate, style)}
    return {"name": name, "note": note, "group": "", "svg": svg} | words


def _place(point: tuple[float, Any]) -> float:
    return point[0]


def sandwich_rows(results: Results) -> list[Section]:
    """Both measures of a sandwich, with a row a condition."""
    found = []
    reward: Results = results.get("true_reward") or {}
    measures: Iterable[tuple[str, str, Style, Results, Any]] = (
        ("accuracy", "right answers", "share",
         {name: e.get("accuracy") for name, e in (results.get("conditions") or {}).items()},
         results.get("gap_recovered")),
        ("reward", "true reward", style(results), {name: reward.get(name) for name in CONDITIONS if name in reward},
         reward.get("gap_recovered")),
    )  # fmt: skip
    for key, what, how, known, gap in measures:
        known = {name: e for name, e in known.items() if mean_of(e) is not None}
        if not known:
            continue
        include = (0.5, 1.0) if key == "accuracy" else ()
        scale = scale_of(known.values(), how, include=include)
        order = [c for c in CONDITIONS if c in known] + [c for c in known if c not in CONDITIONS]
        rows = [_row(plain_words(c), known[c], charts.track(scale, [Mark(known[c], c)], c), how) for c in order]
        found.append({"key": key, "what": what, "scale": scale, "rows": rows, "gap": gap, "style": how,
                      "values": [known.get(c) for c in CONDITIONS]})  # fmt: skip
    return found
