"""The loop end to end on the toy tree: determinism, resumption, what the store holds, schedules and evaluators."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rewardtree.errors import RunError, TreeError
from rewardtree.evaluators.simulated import Judgements, Simulated
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.preferences import Store, open_store
from rewardtree.rewards import ensemble
from rewardtree.rewards.ensemble import fit
from rewardtree.rewards.learner import EnsembleLearner
from rewardtree.tree.checkpoint import Trained, folder
from rewardtree.tree.comparing import collect, describe, exhibits, keep
from rewardtree.tree.evaluating import experience_of, ideal_helpers, judge_of
from rewardtree.tree.loop import Training, train
from rewardtree.tree.node import Budget, Node, Schedule, Tree
from rewardtree.tree.sharing import begun
from rewardtree.tree.sides import Side
from toy import toy_node, toy_tasks, toy_tree

EXPERIENCES: dict[str, Any] = {}
"""Of the toy tree's evaluators at seed 0; the same for every run."""


@pytest.fixture(scope="module", autouse=True)
def short_fits() -> Iterator[None]:
    """Nothing here depends on how well a reward model fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "fit", partial(fit, steps=40))
        yield


@contextmanager
def training(out: Path, *, tree: Tree | None = None, run: str = "main", **given: Any) -> Iterator[Training]:
    out.mkdir(parents=True, exist_ok=True)
    with open_store(out / "store.sqlite", run=run) as store:
        settings: dict[str, Any] = {"seed": 0, "experiences": EXPERIENCES if given.get("seed", 0) == 0 else {}}
        yield Training(tree=tree or toy_tree(), protocol="rrm", store=store, out=out, **settings | given)


def trained(out: Path, schedule: Schedule = "leaves_first", **given: Any) -> dict[str, Trained]:
    with training(out, **given) as settings:
        return train(settings, schedule)


def weights_of(nodes: dict[str, Trained]) -> dict[str, torch.Tensor]:
    """All weights of policies and reward models."""
    found: dict[str, torch.Tensor] = {}
    for name, node in nodes.items():
        assert node.reward_model is not None
        for part, holder in (("policy", node.policy), ("reward", node.reward_model)):
            found |= {f"{name}/{part}/{n}": v for n, v in holder.weights.items()}
    return found


def assert_same(one: dict[str, Trained], two: dict[str, Trained]) -> None:
    first, second = weights_of(one), weights_of(two)
    assert first.keys() == second.keys()
    different = [name for name, value in first.items() if not torch.equal(value, second[name])]
    assert different == []
    for name in one:
        feedback = [nodes[name].feedback for nodes in (one, two)]
        assert feedback[0] is not None and feedback[1] is not None
        assert feedback[0].ids == feedback[1].ids
        np.testing.assert_array_equal(feedback[0].first, feedback[1].first)
        assert repr(one[name].fits) == repr(two[name].fits)
        assert one[name].check_readings == two[name].check_readings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Trained]]:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    return out, trained(out)


def copied(whole: tuple[Path, dict[str, Trained]], to: Path) -> Path:
    shutil.copytree(whole[0], to / "run")
    return to / "run"


def test_every_node_is_trained_for_all_of_its_iterations(whole: tuple[Path, dict[str, Trained]]) -> None:
    out, nodes = whole
    assert set(nodes) == {"left", "right", "product"}
    for name, node in nodes.items():
        assert node.policy.version == f"rrm/{name}/2" and node.untrained.version == "untrained"
        assert node.feedback is not None and len(node.feedback.ids) == 2 * 80
        assert [fit.pairs + fit.held_out for fit in node.fits] == [80, 160]
        assert sorted(p.name for p in (out / "rrm" / name).iterdir()) == ["iteration-000", "iteration-001"]
    assert nodes["left"].check_readings == 0 and nodes["product"].check_readings == 2 * 2 * 64


def test_everything_asked_and_answered_is_in_the_store(whole: tuple[Path, dict[str, Trained]]) -> None:
    out, nodes = whole
    with open_store(out / "store.sqlite") as store:
        rows = {(row.node, row.evaluator, row.condition): row for row in store.ledger()}
        assert set(rows) == {
            ("left", "unaided", "unaided"), ("right", "unaided", "unaided"), ("product", "assisted", "assisted"),
        }  # fmt: skip
        for row in rows.values():
            assert (row.protocol, row.labels, row.abstentions) == ("rrm", 160, 0) and row.readings <= 160 * 2
        node = nodes["product"]
        assert node.feedback is not None
        ids = node.feedback.ids
        assert len(set(ids)) == 160
        asked, answers = store.comparisons(ids), store.answered(ids)
        assert list(asked) == list(answers) == ids
        assert {c.budget for c in asked.values()} == {2}
        assert {tuple(c.policy_versions.items()) for c in asked.values()} == {
            (("left", "rrm/left/2"), ("right", "rrm/right/2"))
        }
        payload = asked[ids[0]].payload
        assert {claim["quantity"] for claim in payload["first"]["claims"]} == {"left", "right"}
        np.testing.assert_array_equal(collect(store, ids), [answers[i].probability for i in ids])
        assert set(collect(store, ids)) == {0.0, 1.0}
        assert np.isnan(collect(store, ["0" * 32])).all()


def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    whole: tuple[Path, dict[str, Trained]], tmp_path: Path
) -> None:
    assert_same(whole[1], trained(tmp_path, experiences={}))


def test_another_seed_gives_others(tmp_path: Path, whole: tuple[Path, dict[str, Trained]]) -> None:
    small = Tree(nodes={"left": toy_node("left", budget=Budget(iterations=1, labels=10))}, root="left")
    one, two = (trained(tmp_path / str(seed), seed=seed, tree=small) for seed in (0, 1))
    assert not torch.equal(one["left"].policy.weights["hidden"], two["left"].policy.weights["hidden"])


Harm = Callable[[Path], None]


def remove(*names: str) -> Harm:
    def harm(out: Path) -> None:
        for name in names:
            shutil.rmtree(out / "rrm" / name)

    return harm


def stopped_while_writing(out: Path) -> None:
    last = folder(out, "rrm", "product", 1)
    partial = last.with_name(last.name + ".partial")
    last.rename(partial)
    (partial / "policy.safetensors").write_bytes(b"half")


@pytest.mark.parametrize(
    "harm",
    [
        remove("product/iteration-001"),
        remove("product"),
        remove("product", "right/iteration-001"),
        stopped_while_writing,
        lambda out: (out / "store.sqlite").unlink(),
    ],
    ids=["last", "root", "middle", "writing", "nothing to do"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    whole: tuple[Path, dict[str, Trained]], tmp_path: Path, harm: Harm
) -> None:
    out = copied(whole, tmp_path)
    harm(out)
    assert_same(whole[1], trained(out, experiences={}))


def test_resumption_asks_for_no_label_twice(whole: tuple[Path, dict[str, Trained]], tmp_path: Path) -> None:
    out = copied(whole, tmp_path)
    remove("product/iteration-001")(out)
    trained(out)
    with open_store(out / "store.sqlite") as store:
        assert [row.labels for row in store.ledger()] == [160, 160, 160]


def test_answers_that_are_stored_count_and_not_what_would_be_answered_now(
    whole: tuple[Path, dict[str, Trained]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replayed iteration finds its answers by name, although the evaluator has changed its mind since."""
    out = copied(whole, tmp_path)
    remove("product/iteration-001")(out)
    original = Simulated.judge

    def opposite(self: Simulated, *given: Any) -> Judgements:
        judged = original(self, *given)
        return replace(judged, first_better=~judged.first_better)

    monkeypatch.setattr(Simulated, "judge", opposite)
    assert_same(whole[1], trained(out))


def test_a_broken_iteration_stops_the_run_with_the_remedy(
    whole: tuple[Path, dict[str, Trained]], tmp_path: Path
) -> None:
    out = copied(whole, tmp_path)
    (folder(out, "rrm", "left", 1) / "record.json").write_text("{")
    with pytest.raises(RunError, match="remove that folder and resume"):
        trained(out)


def test_interleaved_takes_turns_and_resumes_alike(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def observe(node: Node, iteration: int, trained: Trained) -> None:
        seen.append((node.name, iteration))

    tree = toy_tree(budget=Budget(iterations=2, labels=20))
    nodes = trained(tmp_path / "a", "interleaved", tree=tree, observe=observe)
    assert seen == [(name, i) for i in range(2) for name in ("left", "right", "product")]
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    remove("product/iteration-001", "left/iteration-001")(tmp_path / "b")
    assert_same(nodes, trained(tmp_path / "b", "interleaved", tree=tree))
    with open_store(tmp_path / "a" / "store.sqlite") as store:
        assert nodes["product"].feedback is not None
        first = store.comparisons(nodes["product"].feedback.ids[:1]).popitem()[1]
    assert first.policy_versions == {"left": "rrm/left/1", "right": "rrm/right/1"}


def test_inputs_may_be_those_that_other_policies_lead_to(tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def induce(rng: np.random.Generator, count: int, policies: Any) -> Any:
        seen.append({f"{name}:{policy.version}" for name, policy in policies.items()})
        return toy_node("left").task.sample(rng, count, "train")

    tree = toy_tree(budget=Budget(iterations=2, labels=10))
    nodes = {**tree.nodes, "left": replace(tree.nodes["left"], induce=induce)}
    trained(tmp_path, "interleaved", tree=replace(tree, nodes=nodes))
    assert seen[0] == {"left:untrained"}
    assert seen[-1] == {"left:rrm/left/1", "right:rrm/right/1", "product:rrm/product/1"}


def test_borrowed_nodes_are_left_alone(whole: tuple[Path, dict[str, Trained]], tmp_path: Path) -> None:
    borrowed = {name: whole[1][name] for name in ("left", "right")}
    nodes = trained(tmp_path, borrowed=borrowed, tree=toy_tree(budget=Budget(iterations=1, labels=20)))
    assert nodes["left"] is borrowed["left"]
    assert [p.name for p in (tmp_path / "rrm").iterdir()] == ["product"]
    with open_store(tmp_path / "store.sqlite") as store:
        assert [(row.node, row.labels) for row in store.ledger()] == [("product", 20)]


@pytest.mark.parametrize(
    ("evaluators", "condition", "budget"),
    [("assisted", "assisted", 2), ("unaided", "unaided", 2), ("expert", "unaided", 0)],
)
def test_evaluators(
    whole: tuple[Path, dict[str, Trained]], tmp_path: Path, evaluators: str, condition: str, budget: int
) -> None:
    """An expert's comparisons are stored with budget 0 and say that readings are unlimited."""
    borrowed = {name: whole[1][name] for name in ("left", "right")}
    tree = toy_tree(budget=Budget(iterations=1, labels=20))
    nodes = trained(tmp_path, borrowed=borrowed, tree=tree, evaluators=evaluators)
    with open_store(tmp_path / "store.sqlite") as store:
        (row,) = store.ledger()
        assert nodes["product"].feedback is not None
        asked = store.comparisons(nodes["product"].feedback.ids[:1]).popitem()[1]
    assert (row.evaluator, row.condition) == (evaluators, condition)
    assert asked.budget == budget and ("unlimited" in asked.question) == (evaluators == "expert")
    assert bool(asked.payload["first"]["claims"]) == (evaluators == "assisted")
    assert nodes["product"].check_readings == (128 if evaluators == "assisted" else 0)
    if evaluators == "expert":
        assert row.readings == 20 * 2 * 2 * 6


def test_reward_models_may_see_the_claims(whole: tuple[Path, dict[str, Trained]], tmp_path: Path) -> None:
    borrowed = {name: whole[1][name] for name in ("left", "right")}
    tree = toy_tree(budget=Budget(iterations=1, labels=20))
    root = replace(tree.nodes["product"], claims_in_reward=True, peaked=False, hidden=4, learner=Lazy())
    nodes = trained(tmp_path, borrowed=borrowed, tree=replace(tree, nodes={**tree.nodes, "product": root}))
    model, feedback = nodes["product"].reward_model, nodes["product"].feedback
    assert model is not None and feedback is not None
    assert model.shape.features == feedback.first.shape[1] == 6 + 2


class Lazy:
    """The product's learner, which leaves the policy as it is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(toy_node("product").learner, name)

    def improve(self, policy: Any, reward: Any, draw: Any, rng: np.random.Generator, *, version: str) -> Any:
        return replace(policy, version=version)


def store_of(folder_: Path, run: str) -> Store:
    return open_store(folder_ / "store.sqlite", run=run)


def test_comparisons_are_named_by_what_they_ask_and_where(tmp_path: Path) -> None:
    tree = toy_tree()
    node = tree.nodes["product"]
    rng = np.random.default_rng(0)
    inputs = node.task.sample(rng, 6, "train")
    judging = judge_of(experience_of(tree, node, 0), node, ideal_helpers(tree, node), rng)
    sides = [
        Side(outputs=o, claims=judging.assist(inputs, o))
        for o in (node.task.base_outputs(rng, inputs) for _ in range(2))
    ]

    def names(**other: Any) -> list[str]:
        given: dict[str, Any] = {"run": "r", "protocol": "p", "budget": 2, "place": "0/0"} | other
        shown = exhibits(node.task, inputs, (sides[0], sides[1]), given.pop("budget"))
        return [c.id for c in describe(node.task, inputs, (sides[0], sides[1]), shown, **given)]

    plain = names()
    assert plain == names() and len(set(plain)) == 6
    for other in ({"run": "s"}, {"protocol": "q"}, {"budget": 3}, {"place": "0/1"}, {"budget": None}):
        assert not set(plain) & set(names(**other))
    assert names(budget=0) != names(budget=None)


def test_late_and_missing_answers(tmp_path: Path) -> None:
    """What nobody has answered is nan, and counts as soon as it is there."""
    tree = toy_tree()
    node = tree.nodes["left"]
    rng = np.random.default_rng(0)
    inputs = node.task.sample(rng, 4, "train")
    judging = judge_of(experience_of(tree, node, 0), node, {}, rng)
    outputs = [node.task.base_outputs(rng, inputs) for _ in range(2)]
    sides = Side(outputs=outputs[0], claims={}), Side(outputs=outputs[1], claims={})
    shown = exhibits(node.task, inputs, sides, 2)
    with store_of(tmp_path, "r") as store:
        asked = describe(node.task, inputs, sides, shown, run="r", protocol="p", place="0/0")
        store.submit(asked)
        assert np.isnan(collect(store, [c.id for c in asked])).all()
        keep(store, "unaided", "unaided", asked, judging.evaluator.judge(*shown, np.random.default_rng(1)))
        first = collect(store, [c.id for c in asked])
        assert not np.isnan(first).any()
        fresh = exhibits(node.task, inputs, sides, 2)
        keep(store, "unaided", "unaided", asked, judging.evaluator.judge(*fresh, np.random.default_rng(2)))
        np.testing.assert_array_equal(collect(store, [c.id for c in asked]), first)
        assert [row.labels for row in store.ledger()] == [4]


def brief(name: str, helpers: tuple[str, ...] = (), **given: Any) -> Node:
    learner = AnsweringLearner(task=toy_tasks()[name], updates=2)
    return toy_node(name, helpers, learner=learner, budget=Budget(iterations=2, labels=12), **given)


def grouped() -> Tree:
    """`product <- {left, right}`, where the helpers have one policy."""
    both = [brief(name, policy_group="both") for name in ("left", "right")]
    return Tree(nodes={node.name: node for node in (*both, brief("product", ("left", "right")))}, root="product")


@pytest.mark.parametrize("schedule", ["leaves_first", "interleaved"])
def test_nodes_of_a_group_have_one_policy_and_go_on_where_another_left_it(tmp_path: Path, schedule: Schedule) -> None:
    seen: list[tuple[str, str]] = []
    original = AnsweringLearner.improve

    def improve(self: AnsweringLearner, policy: Any, *given: Any, version: str) -> Any:
        seen.append((policy.version, version))
        return original(self, policy, *given, version=version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AnsweringLearner, "improve", improve)
        nodes = trained(tmp_path / "whole", schedule, tree=grouped())
    shared = [pair for pair in seen if "product" not in pair[1]]
    assert shared[0][0] == "untrained"
    assert [before for before, _ in shared[1:]] == [after for _, after in shared[:-1]]
    assert nodes["left"].policy is nodes["right"].policy and nodes["left"].policy.version == shared[-1][1]
    assert nodes["left"].untrained is nodes["right"].untrained
    assert nodes["product"].policy.version == "rrm/product/2"
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "rrm" / "right" / "iteration-001")
    shutil.rmtree(tmp_path / "again" / "rrm" / "product")
    assert_same(nodes, trained(tmp_path / "again", schedule, tree=grouped()))


def test_a_policy_that_is_given_is_where_a_node_or_a_group_begins(tmp_path: Path) -> None:
    left = toy_node("left")
    given = left.learner.restore(left.learner.initial(np.random.default_rng(5)).weights, "given")
    with training(tmp_path, tree=grouped(), start={"both": given}) as settings:
        nodes: dict[str, Trained] = {}
        for name in ("left", "right", "product"):
            node = settings.tree.nodes[name]
            nodes[name] = begun(settings.tree, node, nodes, settings.start, np.random.default_rng(0))
    assert nodes["left"].policy is given and nodes["right"].policy is given
    assert {nodes[name].untrained.version for name in nodes} == {"untrained"} == {nodes["product"].policy.version}


def test_policies_of_different_shapes_are_no_group(tmp_path: Path) -> None:
    left, product = brief("left", policy_group="all"), brief("product", ("left", "right"), policy_group="all")
    tree = Tree(nodes={"left": left, "right": brief("right"), "product": product}, root="product")
    with pytest.raises(TreeError, match="'product' and 'left' are of the policy group 'all'"):
        trained(tmp_path, tree=tree)


class GoesOn:
    """Fits as ever, and notes with what."""

    def __init__(self, goes_on: bool) -> None:
        self.goes_on, self.begun = goes_on, list[Any]()
        self._plain = EnsembleLearner(members=2, peaked=True)
        self.initial, self.load, self.restore = self._plain.initial, self._plain.load, self._plain.restore

    def fit(self, model: Any, *given: Any, generator: torch.Generator) -> Any:
        self.begun.append(model)
        return self._plain.fit(model, *given, generator=generator)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_reward_model_goes_on_where_its_learner_says_so(tmp_path: Path, goes_on: bool) -> None:
    found, learner = list[Any](), GoesOn(goes_on)
    tree = Tree(nodes={"left": toy_node("left", reward=learner)}, root="left")
    trained(tmp_path / "run", tree=tree, observe=lambda node, iteration, one: found.append(one.reward_model))
    assert len(learner.begun) == 2 and (learner.begun[1] is found[0]) == goes_on
