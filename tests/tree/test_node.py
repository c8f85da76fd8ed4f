"""Trees: what is refused, and in which order nodes are trained."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.errors import BudgetError, TreeError
from rewardtree.tree.node import Budget, Node, Tree
from toy import toy_node, toy_tree

LEAF = toy_node("left")


def tree_of(helpers: dict[str, tuple[str, ...]], root: str, **given_: Any) -> Tree:
    """A tree of nodes that all have the same task."""
    return Tree(nodes={name: named(name, helping, **given_) for name, helping in helpers.items()}, root=root)


def named(name: str, helpers: tuple[str, ...] = (), **given_: Any) -> Node:
    return replace(LEAF, name=name, helpers=helpers, **given_)


SHARED: dict[str, tuple[str, ...]] = {"root": ("a", "b"), "a": ("low",), "b": ("low",), "low": ()}


@pytest.mark.parametrize(
    ("helpers", "root", "message"),
    [
        ({"a": ("b",), "b": ("a",)}, "a", "cycle"),
        ({"a": ("a",)}, "a", "cycle: 'a' helps 'a'"),
        ({"a": ("b",), "b": ("c",), "c": ("d",), "d": ("b",)}, "a", "cycle"),
        ({"a": ("b",)}, "a", "'a' names the helper 'b', which is not a node"),
        ({"a": (), "b": ()}, "a", r"\['b'\] help nobody"),
        ({"a": (), "b": ("a",)}, "a", r"\['b'\] help nobody"),
        ({"a": ()}, "b", "root 'b' is not among the nodes"),
        ({}, "a", "root 'a' is not among the nodes"),
    ],
)
def test_trees_that_are_none_are_refused(helpers: dict[str, tuple[str, ...]], root: str, message: str) -> None:
    with pytest.raises(TreeError, match=message):
        tree_of(helpers, root)


def test_a_key_is_its_nodes_name() -> None:
    with pytest.raises(TreeError, match="'a' is entered as 'b'"):
        Tree(nodes={"b": named("a")}, root="b")


def test_a_reward_model_sees_claims_only_where_somebody_helps() -> None:
    with pytest.raises(TreeError, match="'a' is to see claims"):
        tree_of({"a": ()}, "a", claims_in_reward=True)
    seeing = named("a", ("b",), claims_in_reward=True, peaked=False)
    assert Tree(nodes={"a": seeing, "b": named("b")}, root="a").nodes["a"].claims_in_reward


def test_a_group_has_a_name_of_its_own_and_no_other_start() -> None:
    with pytest.raises(TreeError, match="'a' has a policy in common with others and cannot start from another"):
        Tree(nodes={"a": named("a", ("b",), policy_group="g", warm_start="b"), "b": named("b")}, root="a")
    with pytest.raises(TreeError, match="policy group 'b' has a node's name"):
        Tree(nodes={"a": named("a", ("b",), policy_group="b"), "b": named("b")}, root="a")
    assert named("a", policy_group="g").group == "g" and named("a").group == "a"


def test_a_peaked_reward_sees_no_claims() -> None:
    with pytest.raises(TreeError, match="a peaked reward ends in a value"):
        Tree(nodes={"a": named("a", ("b",), claims_in_reward=True, peaked=True), "b": named("b")}, root="a")


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"labels": 1}, {"candidates": 0}])
def test_budgets_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BudgetError, match="at least"):
        Budget(**wrong)


Graph = list[tuple[str, tuple[str, ...], int]]


@st.composite
def graphs(draw: Any) -> Graph:
    """Names, helpers and iterations of up to seven nodes, in any order; all help the last name in the end."""
    names = [f"n{i}" for i in range(draw(st.integers(1, 7)))]
    helpers: dict[str, tuple[str, ...]] = {}
    for index, name in enumerate(names):
        helpers[name] = tuple(draw(st.lists(st.sampled_from(names[:index]), unique=True))) if index else ()
    helped = {h for helping in helpers.values() for h in helping}
    helpers[names[-1]] = tuple(dict.fromkeys([*helpers[names[-1]], *(n for n in names[:-1] if n not in helped)]))
    return [(name, helpers[name], draw(st.integers(1, 3))) for name in draw(st.permutations(names))]


def built(graph: Graph) -> Tree:
    nodes = {n: named(n, helpers, budget=Budget(iterations=count, labels=2)) for n, helpers, count in graph}
    return Tree(nodes=nodes, root=max(nodes))


@given(graph=graphs())
def test_every_node_comes_once_after_all_of_its_helpers(graph: Graph) -> None:
    tree = built(graph)
    order = [node.name for node in tree.leaves_first()]
    assert sorted(order) == sorted(tree.nodes) and order[-1] == tree.root
    for index, name in enumerate(order):
        assert set(tree.nodes[name].helpers) <= set(order[:index])
    assert order == [node.name for node in tree.leaves_first()]


@given(graph=graphs())
def test_leaves_first_finishes_each_helper_and_interleaved_takes_turns(graph: Graph) -> None:
    tree = built(graph)
    every = {(name, i) for name, node in tree.nodes.items() for i in range(node.budget.iterations)}
    plain = [(node.name, i) for node, i in tree.steps("leaves_first")]
    turns = [(node.name, i) for node, i in tree.steps("interleaved")]
    for steps in (plain, turns):
        assert len(steps) == len(every) and set(steps) == every
        for name in tree.nodes:
            own = [i for n, i in steps if n == name]
            assert own == sorted(own)
    place = {step: index for index, step in enumerate(plain)}
    for name, node in tree.nodes.items():
        for helper in node.helpers:
            last = tree.nodes[helper].budget.iterations - 1
            assert place[helper, last] < place[name, 0]
    assert [i for _, i in turns] == sorted(i for _, i in turns)
    order = [node.name for node in tree.leaves_first()]
    for iteration in range(3):
        now = [n for n, i in turns if i == iteration]
        assert now == [n for n in order if n in now]


def test_a_shared_helper_is_trained_once() -> None:
    tree = tree_of(SHARED, "root")
    assert tree.leaves_first()[0].name == "low"
    assert tree.below("a") == {"a", "low"} and tree.below("root") == set(SHARED)
    assert [tree.depth(name) for name in ("low", "a", "root")] == [0, 1, 2]
    assert tree.labels == 4 * LEAF.budget.total == 4 * 2 * 80


def test_the_toy_tree_is_one() -> None:
    assert [node.name for node in toy_tree().leaves_first()] == ["left", "right", "product"]


def test_labels_fall_and_add_up() -> None:
    budget = Budget(iterations=10, labels=20, decay=4.0)
    asked = [budget.at(i) for i in range(10)]
    assert sum(asked) == budget.total == budget.given(10) == 200
    assert asked == sorted(asked, reverse=True) and asked[0] / asked[9] == pytest.approx(1 + 4 * 0.9, rel=0.1)
    assert [Budget(iterations=3, labels=7).at(i) for i in range(3)] == [7, 7, 7]
    for wrong in ({"decay": -1.0}, {"labels": 2, "decay": 30.0}):
        with pytest.raises(BudgetError):
            Budget(iterations=10, **{"labels": 20} | wrong)
