"""From the facts of a study, a depth ladder or a sandwich to results, and from these to one HTML file.

Results have schema 1 and are JSON. An estimate is `{mean, low, high, n, unit}` with a 95 % interval; its ends are None
where there is one seed. Budgets are keys, hence text.

- `kind` `study`: `task`, `unit` (`share` where all true rewards lie from 0 to 1, else `plain`), `seeds`, `budgets`,
  `schemes.<name>.{title, evaluator, reward_model_sees, yardstick}`, `schemes.<name>.by_budget.<budget>.{true_reward,
  labels, readings, seconds, demonstrations, verdicts, asked}` (`asked` is the number of runs, finished or not),
  `improvement.<budget>.<scheme>` and `difference.<budget>.<scheme>` of recursive reward modelling over each other
  scheme, `evaluators.<scheme>.<budget>.<level>.<condition>`, `failed`, and `ladder`.
- `kind` `sandwich`: `task`, `split`, `conditions.<condition>.{accuracy, readings, seconds}`, `gap_recovered`,
  `true_reward.{<condition>, gap_recovered}`.
- Both: `config`, `command`, `seconds`, `version`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardtree import __version__
from rewardtree.errors import RunError
from rewardtree.protocols.recursive_reward_modeling import NAME as BASELINE
from rewardtree.studies import comparing_schemes, sections, study_charts, study_sections, study_verdict
from rewardtree.studies.comparing_schemes import (
    AMOUNT,
    EVERYWHERE,
    RESAMPLES,
    SHARES,
    average,
    compare,
    costs,
    cut,
    finished,
    interquartile_mean,
    scores_of,
)
from rewardtree.studies.estimates import Estimate, gap_recovered, over_seeds
from rewardtree.studies.report import page, write_page
from rewardtree.studies.wording import mean_of, plain_words

SCHEMA = 1
YARDSTICKS = ("oracle", "ceiling", "untrained")
"""Schemes that are none, besides those with an expert evaluator."""
CONDITIONS = ("unaided", "assisted", "expert")
SECTIONS: Mapping[str, Sequence[tuple[str, str]]] = {
    "study": (
        ("ranking", "Who does best"),
        ("curves", "What more labels bring"),
        ("table", "Every scheme at every number of labels"),
        ("improvement", "How sure the order is"),
        ("ladder", "The depth ladder"),
        ("evaluators", "How often the evaluator is right"),
        ("costs", "What a run cost"),
        ("failed", "Runs that failed"),
        ("about", "Configuration and versions"),
    ),
    "sandwich": (
        ("sandwich", "Unaided, assisted, expert"),
        ("conditions", "What each condition took"),
        ("about", "Configuration and versions"),
    ),
}

Fact = Mapping[str, Any]
Results = Mapping[str, Any]


def study_results(
    facts: Sequence[Fact],
    ladder: Sequence[Fact] = (),
    *,
    config: Mapping[str, Any],
    command: str,
    seconds: float,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Compare schemes, and put a depth ladder's rows together.

    Args:
        facts: one a scheme, seed and budget, of one task. Those that failed, or have no true reward, are counted and
            listed and take no part in any estimate.
        ladder: one a task, depth and seed.
        config: of the study, as it was resolved.
        command: that made it.
        seconds: that it took.
        resamples: bootstrap draws an interval.

    Raises:
        RunError: where facts are of several tasks, two of one run, or do not say of which.
        ConfigError: where there are facts to compare, and `rliable` is missing.
    """
    comparing_schemes.check(facts)
    budgets = sorted({fact["budget"] for fact in facts})
    by_scheme: dict[str, list[Fact]] = {}
    for fact in facts:
        by_scheme.setdefault(str(fact["scheme"]), []).append(fact)
    chances, differences = _against_others(by_scheme, budgets, resamples)
    rewards = [float(fact["true_reward"]) for fact in facts if finished(fact)]
    return {
        "schema": SCHEMA,
        "kind": "study",
        "task": str(facts[0]["task"]) if facts and facts[0].get("task") is not None else None,
        "unit": "share" if all(0 <= reward <= 1 for reward in rewards) else "plain",
        "seeds": sorted({fact["seed"] for fact in [*facts, *ladder] if fact.get("seed") is not None}),
        "budgets": budgets,
        "schemes": {name: _scheme(name, rows, resamples) for name, rows in by_scheme.items()},
        "improvement": chances,
        "difference": differences,
        "evaluators": {name: found for name, rows in by_scheme.items() if (found := _evaluators(rows))},
        "failed": [_failure(fact) for fact in facts if not finished(fact)],
        "ladder": _ladder(ladder),
        "config": dict(config),
        "command": command,
        "seconds": seconds,
        "version": __version__,
    }


def sandwich_results(
    facts: Sequence[Fact], *, config: Mapping[str, Any], command: str, seconds: float, split: str = "test"
) -> dict[str, Any]:
    """Compare an unaided, an assisted and an expert evaluator on the same comparisons.

    Args:
        facts: one a condition and seed: `{task, condition, seed, accuracy, readings, seconds, true_reward}`. A figure
            is a number or, with its error over items, `{mean, error, n}`; `true_reward`, of the policy trained on the
            condition's answers, may be missing.
        config: as it was resolved.
        command: that made it.
        seconds: that it took.
        split: which inputs were measured on.

    Raises:
        RunError: where facts are of several tasks or a condition is there twice for a seed.
    """
    as_runs = [{"scheme": fact.get("condition"), "budget": 0} | dict(fact) for fact in facts]
    comparing_schemes.check(as_runs)
    found: dict[str, dict[Any, Fact]] = {}
    for fact in facts:
        found.setdefault(str(fact["condition"]), {})[fact["seed"]] = fact

    figures = [fact.get("true_reward") for fact in facts]
    share = all(0 <= value <= 1 for figure in figures if (value := mean_of(figure)) is not None)
    within = {"accuracy": SHARES, "true_reward": SHARES if share else EVERYWHERE}

    def over(condition: str, key: str) -> Estimate:
        return _over([fact.get(key) for fact in found[condition].values()], within.get(key, AMOUNT))

    rewards = {name: over(name, "true_reward") for name in found}
    known = {name: e for name, e in rewards.items() if mean_of(e) is not None}
    return {
        "schema": SCHEMA,
        "kind": "sandwich",
        "task": str(facts[0]["task"]) if facts else None,
        "split": split,
        "unit": "share" if share else "plain",
        "seeds": sorted({fact["seed"] for fact in facts}),
        "conditions": {name: {key: over(name, key) for key in ("accuracy", "readings", "seconds")} for name in found},
        "gap_recovered": _gap(found, "accuracy"),
        "true_reward": known | {"gap_recovered": _gap(found, "true_reward")} if known else None,
        "config": dict(config),
        "command": command,
        "seconds": seconds,
        "version": __version__,
    }


def write_study_report(results: Results, path: Path) -> None:
    """Write the page of a study, ladder or sandwich: one file that runs no script and fetches nothing.

    Args:
        results: of `study_results` or `sandwich_results`.
        path: the HTML file.

    Raises:
        RunError: where the results have another shape, or the file cannot be written.
    """
    write_page(render(results), path)


def render(results: Results) -> str:
    """The page as HTML.

    Raises:
        RunError: where the results have another shape.
    """
    kind = str(results.get("kind"))
    if results.get("schema") != SCHEMA or kind not in SECTIONS:
        raise RunError(
            f"these results are a {kind!r} of schema {results.get('schema')!r} and this version reports a "
            f"{' or a '.join(SECTIONS)} of schema {SCHEMA}; make the report with the version that made the results"
        )
    every = [name for kinds in SECTIONS.values() for name, _ in kinds]
    parts: dict[str, Any] = dict.fromkeys(every) | dict(_parts(results))
    return page(
        "study.html.j2", results, parts, SECTIONS[kind], title=_title(results), style=study_sections.style(results),
        many=len(results.get("seeds") or ()) > 1, scheme_swatch=study_charts.swatch,
    )  # fmt: skip


def _parts(results: Results) -> Iterator[tuple[str, Any]]:
    yield (
        "verdict",
        {
            "text": study_verdict.verdict(results),
            "more": study_verdict.more(results),
            "unit": study_verdict.unit(results),
        },
    )
    yield "about", sections.tables(results)
    if results["kind"] == "sandwich":
        yield "sandwich", study_sections.sandwich_rows(results)
        took = {name: found for name, found in results["conditions"].items() if _costly(found)}
        yield "conditions", list(took.items())
        return
    for part in (
        study_sections.ranking,
        study_sections.curves,
        study_sections.table,
        study_sections.improvement,
        study_sections.ladder,
        study_sections.evaluators,
        study_sections.costs,
        study_sections.failed,
    ):
        yield part.__name__, part(results)


def _costly(found: Results) -> bool:
    return any(mean_of(found.get(key)) is not None for key in ("readings", "seconds"))


def _title(results: Results) -> str:
    task = plain_words(str(results.get("task") or ""))
    if results["kind"] == "sandwich":
        return f"{task}: unaided, assisted, expert" if task else "Unaided, assisted, expert"
    if not results["schemes"]:
        return "The depth ladder"
    return f"{task}: which scheme does best?" if task else "Which scheme does best?"


def _scheme(name: str, rows: Sequence[Fact], resamples: int) -> dict[str, Any]:
    first = rows[0]
    by_budget: dict[str, Any] = {}
    for budget in sorted({row["budget"] for row in rows}):
        mine = [row for row in rows if row["budget"] == budget]
        reward = interquartile_mean(scores_of(mine), resamples)
        done = [row for row in mine if finished(row)]
        by_budget[str(budget)] = {"true_reward": reward} | costs(done) | {"asked": len(mine)}
    return {
        "title": _named(first),
        "evaluator": first.get("evaluator"),
        "reward_model_sees": first.get("reward_model_sees"),
        "yardstick": first.get("evaluator") in ("expert", "none") or name in YARDSTICKS,
        "by_budget": by_budget,
    }


def _against_others(
    by_scheme: Mapping[str, Sequence[Fact]], budgets: Sequence[Any], resamples: int
) -> tuple[dict[str, dict[str, Estimate]], dict[str, dict[str, Estimate]]]:
    """Recursive reward modelling against each other scheme, by budget."""
    chances: dict[str, dict[str, Estimate]] = {}
    differences: dict[str, dict[str, Estimate]] = {}
    if BASELINE not in by_scheme or len(by_scheme) < 2:
        return chances, differences
    for budget in budgets:
        scores = {name: scores_of([row for row in rows if row["budget"] == budget]) for name, rows in by_scheme.items()}
        found = {
            name: compare(scores[BASELINE], theirs, resamples)
            for name, theirs in scores.items()
            if name != BASELINE and len(theirs) and len(scores[BASELINE])
        }
        if found:
            chances[str(budget)] = {name: better.improvement for name, better in found.items()}
            differences[str(budget)] = {name: better.difference for name, better in found.items()}
    return chances, differences


def _evaluators(rows: Sequence[Fact]) -> dict[str, Any]:
    """Accuracy by budget, level and condition."""
    values: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for row in rows:
        if finished(row):
            levels = values.setdefault(str(row["budget"]), {})
            for level, conditions in (row.get("evaluator_accuracy") or {}).items():
                for condition, accuracy in conditions.items():
                    levels.setdefault(level, {}).setdefault(condition, []).append(accuracy)
    return {
        budget: {
            level: {condition: average(found, within=SHARES) for condition, found in conditions.items()}
            for level, conditions in levels.items()
        }
        for budget, levels in values.items()
        if levels
    }


def _failure(fact: Fact) -> dict[str, Any]:
    why = fact.get("failed") or "no true reward was measured"
    return {
        "scheme": fact["scheme"],
        "title": _named(fact),
        "seed": fact["seed"],
        "budget": fact["budget"],
        "why": str(why),
    }


def _named(fact: Fact) -> str:
    return str(fact.get("title") or plain_words(str(fact["scheme"])))


POLICIES = ("root_accuracy", "expert_root_accuracy", "root_accuracy_output", "expert_root_accuracy_output")
"""A rung's policies: trained on assisted and on an expert's answers, by reward models with claims and without."""


def _ladder(rows: Sequence[Fact]) -> list[dict[str, Any]]:
    """A row a task and depth: estimates over seeds, and the optimum as it is."""
    found = []
    for task, depth in dict.fromkeys((row["task"], row["depth"]) for row in rows):
        mine = [row for row in rows if (row["task"], row["depth"]) == (task, depth)]
        optima = [value for row in mine if (value := mean_of(row.get("unaided_optimum"))) is not None]
        merged: dict[str, Any] = {"task": task, "depth": depth, "unaided_optimum": optima[0] if optima else None}
        for key in ("unaided", "assisted", *POLICIES):
            merged[key] = average([row.get(key) for row in mine], within=SHARES)
        for key in ("seconds", "labels"):
            merged[key] = average([row.get(key) for row in mine], within=AMOUNT)
        merged["why"] = list(dict.fromkeys(str(row["why"]) for row in mine if row.get("why")))
        found.append(merged)
    return found


def _gap(found: Mapping[str, Mapping[Any, Fact]], key: str) -> Estimate | str | None:
    """Of the seeds that have all three conditions; None where there is none."""
    if any(name not in found for name in CONDITIONS):
        return None
    seeds = [seed for seed in found["unaided"] if all(_known(found[name].get(seed), key) for name in CONDITIONS)]
    if not seeds:
        return None
    unaided, assisted, expert = ([_figure(found[name][seed][key]) for seed in seeds] for name in CONDITIONS)
    return gap_recovered(assisted, unaided, expert)


def _known(fact: Fact | None, key: str) -> bool:
    return fact is not None and mean_of(fact.get(key)) is not None


def _figure(value: Any) -> dict[str, float]:
    """A figure of one seed as mean, error and number of items."""
    if isinstance(value, Mapping):
        return {"mean": float(value["mean"]), "error": float(value.get("error") or 0.0), "n": value.get("n", 1)}
    return {"mean": float(value), "error": 0.0, "n": 1}


def _over(values: Sequence[Any], within: tuple[float, float]) -> Estimate:
    """Over seeds, or over the items of one."""
    return cut(over_seeds([_figure(value) for value in values if mean_of(value) is not None]), within)
