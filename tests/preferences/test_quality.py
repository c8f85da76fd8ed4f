"""Figures of label quality against published and hand-made data, planted labellers, and empty or odd records."""

import dataclasses
import itertools
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rewardtree.preferences.quality import Figure, Labeller, Quality, aggregate, summarise
from rewardtree.preferences.quality_agreement import BALANCE, TRUST, Prior, alpha, consensus, dawid_skene
from rewardtree.preferences.quality_columns import columns
from rewardtree.preferences.quality_intervals import bootstrap, clustered_share, share
from rewardtree.preferences.records import Answer, Records, Report

CLOCK = itertools.count(1)


def answer(comparison: str, labeller: str, probability: float | None, **more: Any) -> Answer:
    plain: dict[str, Any] = {
        "run": "test", "node": "root", "protocol": "recursive", "purpose": "training", "original": None, "known": None,
        "shadow": None, "condition": "unaided", "swapped": False, "seconds": 10.0, "readings": 0, "claims_seen": (),
        "claims": 0, "rationale": "", "time": float(next(CLOCK)), "withdrawn": False, "verdicts": {}, "mode": "unaided",
        "view": "evidence",
    }  # fmt: skip
    return Answer(comparison=comparison, labeller=labeller, probability=probability, **plain | more)


def records(answers: Sequence[Answer], **more: Any) -> Records:
    return Records(answers=tuple(answers), **{"reports": (), "reliability": {}} | more)


def person(found: Quality, name: str) -> Labeller:
    return next(labeller for labeller in found.labellers if labeller.name == name)


def as_json(found: Quality) -> str:
    return json.dumps(dataclasses.asdict(found), allow_nan=False)


# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_alpha_of_krippendorffs_own_example() -> None:
    given_ = [
        answer(f"unit {unit}", f"observer {observer}", (value - 1) / 4)
        for observer, row in enumerate(KRIPPENDORFF)
        for unit, value in enumerate(row)
        if value is not None
    ]
    found = summarise(records(given_))
    assert found.alpha_nominal.mean == pytest.approx(0.743, abs=5e-4)
    assert found.alpha_ordinal.mean == pytest.approx(0.815, abs=5e-4)
    assert found.alpha_ordinal.n == found.overlapping == 11  # the last unit has one observer
    assert found.alpha_ordinal.low is not None and found.alpha_ordinal.low < 0.815
    assert found.alpha_ordinal.high is not None and 0.815 < found.alpha_ordinal.high <= 1


def test_alpha_by_hand() -> None:
    # Two observers of four units: 00, 00, 11, 01. Coincidences 4, 1 / 1, 2; observed disagreement 2/8, expected
    # 2 * 5 * 3 / (8 * 7).
    assert alpha(np.array([[2, 0], [2, 0], [0, 2], [1, 1]]), "nominal") == pytest.approx(1 - (2 / 8) / (30 / 56))


@pytest.mark.parametrize("counts", [np.zeros((0, 5), int), np.array([[3, 0]]), np.array([[1, 0], [0, 1]])])
def test_alpha_of_too_little_is_none(counts: np.ndarray) -> None:
    assert alpha(counts, "ordinal") is None


def test_the_interval_of_alpha_holds_the_truth() -> None:
    """Two observers who are right with 0.9 and 0.8 agree in 0.74, where 0.5 is chance."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(40):
        truth = rng.integers(2, size=150)
        answers = [
            answer(f"{i}", name, float(truth[i] if rng.random() < skill else 1 - truth[i]))
            for i in range(150)
            for name, skill in (("ada", 0.9), ("bob", 0.8))
        ]
        figure = summarise(records(answers)).alpha_nominal
        assert figure.low is not None and figure.high is not None
        held += figure.low <= 0.48 <= figure.high
    assert held >= 34  # of 40; by chance fewer once in thousands


# Dawid and Skene 1979, table 1: the first anaesthetist judged three times, the other four once; 45 patients.
ANAESTHETISTS = """111 1111|333 4334|112 2122|222 3121|222 3222|222 3322|122 2111|333 3433|222 2223|232 2223|444 4444|
222 3343|111 1111|222 3212|121 1111|111 2111|111 1111|111 1111|222 2221|222 1322|222 2222|222 2221|
222 3222|221 2222|111 1111|
111 1111|232 2222|111 1111|111 1111|112 1121|111 1111|333 3233|111 1111|222 2222|222 3232|433 4343|221 2232|232 3233|
333 3432|111 1111|111 1111|121 2111|232 2222|121 1111|222 2222"""


def test_dawid_and_skenes_own_example() -> None:
    patients = ANAESTHETISTS.replace("\n", "").split("|")
    assert len(patients) == 45
    said = [
        (patient, who, int(grade) - 1)
        for patient, row in enumerate(patients)
        for who, grade in zip((0, 0, 0, 1, 2, 3, 4), row.replace(" ", ""), strict=True)
    ]
    item, labeller, response = np.array(said).T
    start = np.zeros((45, 4))
    np.add.at(start, (item, response), 1 / 7)
    found = dawid_skene(item, labeller, response, start, Prior(responses=np.zeros((5, 4, 4)), items=np.zeros(4)))
    # Table 2 of the paper, to its two digits.
    np.testing.assert_allclose(found.prevalence, [0.40, 0.42, 0.11, 0.07], atol=0.006)
    first = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    np.testing.assert_allclose(found.confusion[0], first, atol=0.006)
    # Patients 3 and 36 are the paper's examples of what a majority gets wrong or leaves open.
    assert found.classes[2].argmax() == 1 and found.classes[35].argmax() == 3


def test_the_aggregate_weighs_labellers_by_how_right_they_are() -> None:
    """Two who guess outvote one who knows; known comparisons tell which is which."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=200)
    answers = []
    for i, right in enumerate(truth):
        known = {"known": float(right), "purpose": "gold"} if i < 60 else {}
        answers += [answer(f"{i}", "expert", float(right if rng.random() < 0.95 else 1 - right), **known)]
        answers += [answer(f"{i}", name, float(rng.integers(2)), **known) for name in ("guess 1", "guess 2")]
    found = aggregate(records(answers))
    votes = [np.mean([a.probability for a in answers if a.comparison == f"{i}"]) > 0.5 for i in range(60, 200)]
    weighed = [found[f"{i}"] > 0.5 for i in range(60, 200)]
    assert np.mean(weighed == truth[60:]) > 0.9 > 0.8 > np.mean(votes == truth[60:])
    assert all(found[f"{i}"] == truth[i] for i in range(60))
    matrix = person(summarise(records(answers)), "expert").confusion
    assert matrix["first"]["first"] > 0.8 and matrix["second"]["second"] > 0.8


def test_one_answer_is_no_certainty() -> None:
    found = aggregate(records([answer("a", "ada", 1.0), answer("b", "ada", 0.5), answer("c", "ada", None)]))
    assert 0.6 < found["a"] < 0.95
    assert found.keys() == {"a", "b"}


def test_comparisons_that_nothing_tells_apart_are_weighed_together() -> None:
    """A shortcut for answers that nobody else's confirm: it must come to what the model says of each one."""
    rng = np.random.default_rng(0)
    answers = [answer(f"{i}", "ada", float(rng.choice([0, 0.5, 1]))) for i in range(80)]
    answers += [answer(f"{i}", "bob", float(rng.choice([0, 1]))) for i in range(60, 110)]
    table = columns(records(answers))
    start = np.array([np.bincount(table.side[table.comparison == i], minlength=3)[[0, 2]] + 1.0 for i in range(110)])
    prior = Prior(responses=np.tile(TRUST, (2, 1, 1)), items=np.full(2, BALANCE))
    start /= start.sum(axis=1, keepdims=True)
    plain = dawid_skene(table.comparison, table.labeller, table.side, start, prior)
    found = consensus(table)
    np.testing.assert_allclose(found.classes, plain.classes, atol=1e-9)
    np.testing.assert_allclose(found.confusion, plain.confusion, atol=1e-9)


def gold(rng: np.random.Generator, name: str, count: int, skill: float, **more: Any) -> list[Answer]:
    truth = rng.integers(2, size=count)
    return [
        answer(
            f"gold {i}", name, float(right if rng.random() < skill else 1 - right), known=float(right), purpose="gold",
            swapped=bool(rng.integers(2)), **more,
        )
        for i, right in enumerate(truth)
    ]  # fmt: skip


def test_planted_labellers_are_found() -> None:
    rng = np.random.default_rng(3)
    truth, asides = rng.integers(2, size=300), rng.integers(2, size=(300, 5))
    helpers_right = rng.random(300) < 0.7
    answers = []
    for i in range(300):
        helper = truth[i] if helpers_right[i] else 1 - truth[i]
        shown = {
            "known": float(truth[i]), "purpose": "gold", "condition": "assisted", "claims": 2,
            "verdicts": {"energy": "first" if helper else "second", "heat": "neither"},
        }  # fmt: skip
        good = truth[i] if rng.random() < 0.9 else 1 - truth[i]
        by = {
            "good": float(good),
            "careless": float(rng.integers(2)),
            "left": float(not asides[i, 2]),
            "follower": float(helper),
            "upside down": float(1 - good),
        }
        for place, (name, probability) in enumerate(by.items()):
            quick = name == "careless" and rng.random() < 0.34
            more = {"swapped": bool(asides[i, place]), "seconds": 0.4 if quick else float(rng.uniform(5, 20))}
            answers.append(answer(f"{i}", name, probability, **shown | more))
    found = summarise(records(answers, reliability={"energy": 0.7}))
    said = {name: [flag for flag in found.flags if flag.startswith(f"Labeller {name} ")] for name in by}
    assert said["good"] == []
    assert any("may be chance" in flag for flag in said["careless"])
    assert any("faster than" in flag and "3" in flag for flag in said["careless"])
    assert any("displayed first in 100 %" in flag for flag in said["left"])
    assert any("follows the helpers in 100 %" in flag for flag in said["follower"])
    assert any("mixed up" in flag for flag in said["upside down"])
    assert found.flags[0] in said["upside down"]
    follower, good_one = person(found, "follower").reliance, person(found, "good").reliance
    assert follower.followed.mean == follower.followed_wrong.mean == 1
    assert follower.excess == pytest.approx(1 - helpers_right.mean())
    assert good_one.followed_right.mean is not None and good_one.followed_right.mean > 0.8
    assert good_one.followed_wrong.mean is not None and good_one.followed_wrong.mean < 0.2
    (energy, heat) = found.helpers
    assert (energy.name, energy.reliability, energy.right.mean) == ("energy", 0.7, pytest.approx(helpers_right.mean()))
    assert (heat.right.n, heat.followed.n) == (0, 0)


def test_unbiased_labellers_are_left_alone() -> None:
    rng = np.random.default_rng(5)
    answers = [one for k in range(30) for one in gold(rng, f"labeller {k}", 60, 0.9)]
    assert not [flag for flag in summarise(records(answers)).flags if "displayed" in flag]


def test_a_labellers_simple_figures() -> None:
    ada = [
        answer("a", "ada", 1.0, known=1.0, purpose="gold", seconds=4.0, readings=2, swapped=True),
        answer("b", "ada", 0.25, known=1.0, purpose="gold", seconds=6.0, readings=1),
        answer("c", "ada", 0.5, known=0.0, purpose="gold", seconds=50.0),
        answer(
            "d", "ada", None, known=0.0, purpose="gold", seconds=0.3, condition="assisted", claims=4, claims_seen=(0, 3)
        ),
        answer("e", "ada", 0.0, known=0.5, withdrawn=True),
    ]
    found = summarise(
        records([*ada, answer("a", "bob", 0.75, known=1.0), answer("b", "bob", 0.75, known=1.0)]),
        now=ada[1].time + 3600,
    )
    figures = person(found, "ada")
    assert (figures.answers, found.answers, found.withdrawn, found.comparisons) == (4, 6, 1, 4)
    assert figures.seconds == 5.0
    assert figures.accuracy == share(2.0, 4)
    assert figures.cannot_tell.mean == figures.ties.mean == 0.25
    assert figures.too_fast.mean == 0.25  # everybody's median is 8 s: less than 1.6 s is too fast
    assert figures.fast_limits == (1.6, 1.6)
    assert figures.displayed_first == share(0.0, 2)  # the first displayed second, then the second displayed second
    assert (figures.openings, figures.readings) == (2.0, 0.75)
    assert figures.opened.mean == 0.5
    assert figures.agreement == share(1.0, 2)
    assert figures.last_hour == 2 and figures.last_answer == ada[3].time


def test_repeats_tell_how_consistent_a_labeller_is() -> None:
    first = [1.0, 0.75, 0.0, 0.25, 1.0, 0.5]
    again = [0.75, 0.25, 0.25, 0.0, 1.0, None]
    answers = [answer(f"{i}", "ada", p) for i, p in enumerate(first)]
    answers += [answer(f"{i} again", "ada", p, purpose="repeat", original=f"{i}") for i, p in enumerate(again)]
    answers += [answer("stray again", "ada", 1.0, purpose="repeat", original="stray")]
    answers += [answer("0 again", "bob", 0.0, purpose="repeat", original="0")]
    found = summarise(records(answers))
    ada = person(found, "ada").consistency
    assert ada.same_side == share(5.0, 6)  # a tie and "can't tell" both take no side
    assert ada.correlation == pytest.approx(float(np.corrcoef(first[:5], again[:5])[0, 1]))  # type: ignore[arg-type]
    assert person(found, "bob").consistency.same_side.n == 0


def test_of_a_revised_pair_the_revision_is_the_answer_and_the_first_gives_the_time() -> None:
    pair = [
        answer("a", "ada", 1.0, condition="unaided", seconds=20.0, known=0.0, mode="revise"),
        answer("a", "ada", 0.0, condition="revised", seconds=0.5, known=0.0, mode="revise", claims=1),
    ]
    figures = person(summarise(records(pair[::-1])), "ada")
    assert figures.answers == 1 and figures.accuracy.mean == 1.0
    assert figures.seconds == 20.0 and figures.too_fast.mean == 0.0


def test_the_sandwich_takes_each_labeller_as_its_own_control() -> None:
    answers = []
    # Of 10 known comparisons each, six labellers begin with 5 + k right; the claims mend all of ada's but one.
    for k, name in enumerate(("ada", "bob", "cy", "di", "ed", "flo")):
        for i in range(10):
            begins, ends = float(i < 4 + k), float(i < 8)
            shown = {"known": 1.0, "claims": 1, "verdicts": {"helper": "first"}, "mode": "revise"}
            answers.append(answer(f"{i}", name, begins, condition="unaided", **shown))
            answers.append(answer(f"{i}", name, ends, condition="revised", **shown))
            answers.append(answer(f"{i} with", name, float(i < 9), condition="assisted", **shown))
    found = summarise(records(answers)).sandwich
    assert found.unaided.mean == pytest.approx(0.65) and found.revised.mean == pytest.approx(0.8)
    assert found.revised.n == 60 and found.revised.by == "bootstrap over labellers"
    gain = found.revised_against_unaided
    assert gain.mean == pytest.approx(0.15) and gain.n == 60
    assert gain.low is not None and gain.high is not None and 0.0 < gain.low < 0.08 < 0.22 < gain.high < 0.35
    assert found.assisted_against_unaided.mean == pytest.approx(0.25)
    changes = found.changes
    assert changes.moved == share(11.0, 60)  # 4 + 3 + 2 + 1 to the right, 1 away from it
    assert changes.wrong_to_right == share(10.0, 21)
    assert changes.right_to_wrong == share(1.0, 39)
    assert changes.followed == share(10.0, 11)


def test_conditions_are_compared_within_labellers() -> None:
    """A good labeller mostly unaided and a bad one mostly assisted: claims gain 0.1 with both, pooling says -0.25."""
    answers = []
    for name, skill, n_with, n_without in (("good", 0.8, 20, 80), ("bad", 0.4, 80, 20)):
        for condition, count, right in (("assisted", n_with, skill + 0.1), ("unaided", n_without, skill)):
            answers += [
                answer(f"{name} {condition} {i}", name, float(i < round(right * count)), known=1.0, condition=condition)
                for i in range(count)
            ]
    found = summarise(records(answers)).sandwich
    assert found.assisted.mean is not None and found.unaided.mean is not None
    assert found.assisted.mean < found.unaided.mean - 0.1
    gain = found.assisted_against_unaided
    assert gain.mean == pytest.approx(0.1) and gain.n == 200
    assert gain.low is not None and gain.low < 0 and gain.by == "normal over answers"


def test_agreement_with_the_simulated_evaluator() -> None:
    answers = [
        answer("a", "ada", 1.0, shadow=0.9), answer("b", "ada", 0.25, shadow=0.9), answer("c", "ada", 0.5, shadow=0.1),
        answer("d", "ada", None, shadow=0.1), answer("e", "ada", 0.0, shadow=0.3), answer("f", "ada", 0.0),
    ]  # fmt: skip
    figure = summarise(records(answers)).shadow_agreement
    assert figure.mean == pytest.approx(3 / 5) and figure.n == 5
    assert figure.by == "bootstrap over comparisons"


def test_reports_and_poor_agreement_are_flagged() -> None:
    rng = np.random.default_rng(0)
    answers = [answer(f"{i}", name, float(rng.integers(2))) for i in range(200) for name in ("ada", "bob", "cy")]
    report = Report(comparison="1", labeller="ada", text="no picture", time=1.0, open=True)
    found = summarise(records(answers, reports=(report, dataclasses.replace(report, open=False))))
    assert found.open_reports == 1
    assert any(flag.startswith("1 reported as broken") for flag in found.flags)
    assert any("hardly agree" in flag for flag in found.flags)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [answer("a", "ada", 1.0)],
        [answer("a", "ada", 1.0, withdrawn=True)],
        [answer(f"{i}", name, 0.5, known=0.5) for i in range(30) for name in ("ada", "bob")],
        [answer(f"{i}", name, None, known=1.0, shadow=0.5) for i in range(30) for name in ("ada", "bob")],
        [answer(f"{i}", name, 1.0, condition="revised") for i in range(3) for name in ("ada", "bob")],
    ],
    ids=["nothing", "one answer", "only withdrawn", "all ties", "nobody can tell", "all alike, first answers missing"],
)
def test_odd_records(answers: list[Answer]) -> None:
    found = summarise(records(answers))
    as_json(found)
    assert found.answers == len([one for one in answers if not one.withdrawn])
    assert found.alpha_ordinal.mean is None
    assert all(0 <= probability <= 1 for probability in aggregate(records(answers)).values())


ANSWERS = st.lists(
    st.fixed_dictionaries(
        {
            "comparison": st.sampled_from("abcdef"),
            "labeller": st.sampled_from(["ada", "bob", "cy"]),
            "probability": st.sampled_from([1.0, 0.75, 0.5, 0.25, 0.0, None]),
            "condition": st.sampled_from(["unaided", "assisted", "revised"]),
            "swapped": st.booleans(),
            "withdrawn": st.booleans(),
            "seconds": st.floats(0, 100),
            "claims_seen": st.sampled_from([(), (0,), (0, 1)]),
        }
    ),
    max_size=40,
)
QUESTIONS = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries(
            {
                "known": st.sampled_from([None, 1.0, 0.5, 0.0]),
                "shadow": st.sampled_from([None, 0.8, 0.5, 0.1]),
                "claims": st.integers(0, 3),
                "verdicts": st.dictionaries(
                    st.sampled_from(["energy", "heat"]), st.sampled_from(["first", "second", "neither"])
                ),
                "original": st.sampled_from([None, "a", "z"]),
                "node": st.sampled_from(["root", "leaf"]),
            }
        )
        for name in "abcdef"
    }
)


def figures(value: Any) -> list[Figure]:
    if isinstance(value, Figure):
        return [value]
    if dataclasses.is_dataclass(value):
        return [one for field in dataclasses.fields(value) for one in figures(getattr(value, field.name))]
    return [one for part in value for one in figures(part)] if isinstance(value, tuple) else []


@given(ANSWERS, QUESTIONS)
def test_whatever_was_answered_gives_numbers(rows: list[dict[str, Any]], questions: dict[str, dict[str, Any]]) -> None:
    answers = [answer(**row, **questions[row["comparison"]], time=float(t)) for t, row in enumerate(rows)]
    found = summarise(records(answers), now=50.0)
    as_json(found)
    for figure in figures(found):
        assert (figure.mean is None) <= (figure.low is None) and (figure.low is None) == (figure.high is None)
        if figure.mean is not None and figure.low is not None and figure.high is not None:
            assert figure.low <= figure.mean + 1e-12 and figure.mean <= figure.high + 1e-12
    shuffled = [*answers[1::2], *answers[::2]]
    assert as_json(summarise(records(shuffled), now=50.0)) == as_json(found)


@given(ANSWERS, QUESTIONS)
def test_which_output_is_called_first_changes_nothing(
    rows: list[dict[str, Any]], questions: dict[str, dict[str, Any]]
) -> None:
    answers = [answer(**row, **questions[row["comparison"]], time=float(t)) for t, row in enumerate(rows)]
    other = {"first": "second", "second": "first", "neither": "neither"}

    def turned(one: Answer) -> Answer:
        return dataclasses.replace(
            one,
            swapped=not one.swapped,
            verdicts={name: other[side] for name, side in one.verdicts.items()},
            **{
                name: None if getattr(one, name) is None else 1 - getattr(one, name)
                for name in ("probability", "known", "shadow")
            },
        )

    mirrored = records([turned(one) for one in answers])
    there, back = aggregate(records(answers)), aggregate(mirrored)
    assert there.keys() == back.keys()
    assert all(there[name] == pytest.approx(1 - back[name], abs=1e-6) for name in there)
    found, again = summarise(records(answers)), summarise(mirrored)
    for one, two in zip(figures(found), figures(again), strict=True):
        assert one.n == two.n
        assert (one.mean is None and two.mean is None) or one.mean == pytest.approx(two.mean)
    assert found.flags == again.flags


@given(st.integers(0, 200), st.integers(1, 200))
def test_shares_have_wilsons_interval(hits: int, n: int) -> None:
    hits = min(hits, n)
    known = stats.binomtest(hits, n).proportion_ci(method="wilson")
    figure = share(float(hits), n)
    assert (figure.low, figure.high) == (pytest.approx(known.low, abs=1e-9), pytest.approx(known.high, abs=1e-9))


def test_the_bootstrap_draws_whole_groups() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(100), 20)
    values = (rng.normal(size=100)[group] + 0.1 * rng.normal(size=2000)).astype(float)
    low, high = bootstrap(values, np.ones(2000), group)
    assert low is not None and high is not None
    expected = 2 * 1.96 * values.reshape(100, 20).mean(axis=1).std(ddof=1) / 10
    assert high - low == pytest.approx(expected, rel=0.12)
    many = np.arange(2000)  # more groups than are drawn apart
    low, high = bootstrap(values, np.ones(2000), many)
    assert low is not None and high is not None
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 2000**0.5, rel=0.12)


def test_a_share_of_all_is_not_certain() -> None:
    who = np.arange(8)
    figure = clustered_share(np.ones(8), who, who)
    assert figure.mean == 1 and figure.low is not None and figure.low < 0.8 and figure.by == "wilson"


def test_of_answers_given_twice_the_later_counts() -> None:
    one, two = answer("a", "ada", 1.0), answer("a", "ada", 0.0)
    assert columns(records([two, one])).probability.tolist() == [0.0]


def test_fifty_labellers_are_judged_at_once() -> None:
    rng = np.random.default_rng(0)
    answers = [one for k in range(50) for one in gold(rng, f"labeller {k}", 200, 0.8)]
    start = time.perf_counter()
    found = summarise(records(answers))
    assert time.perf_counter() - start < 3.0  # 0.15 s at rest, without the shape checks
    assert len(found.labellers) == 50 and found.answers == 10_000
