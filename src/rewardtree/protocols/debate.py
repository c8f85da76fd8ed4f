"""Debate (Irving, Christiano & Amodei 2018, arXiv 1805.00899), and doubly-efficient debate (arXiv 2311.14125).

Two debaters hold different answers to a question, argue in turns, and a bounded judge says who won (section 2 of the
paper). Here a debater supports its answer by asserting answers to the question's parts; the other one points at the
part that it doubts, and they go on about that one, a level lower, down to a single fact, which the judge reads. Both
answers are put to proof in this way. Answers to parts that contradict the conclusion are seen for free, as the rule is
public. The judge sees nothing else: one reading a side settles a debate of any depth.

Three schemes: `precommitted`, where one side must defend any other name; `free`, where both answers are the debaters'
own; and `doubly efficient` (Brown-Cohen, Irving & Piliouras 2023, debate with cross-examination), where a debater
commits to the whole computation at once, with its own answers at all levels, and the other names the one step that
the judge checks.

The verdicts on the root's questions are the only labels, as many as the whole tree of recursive reward modelling has.
A Bradley-Terry model of the judge is fitted to them, on what ended each side: a contradiction, a step that holds, or a
fact's links. Self-play runs against that model. What asserting an answer is worth follows from level to level:

    worth_0(question, answer) = score(links)
    worth_l(question, answer) = sum over parts k of p_k worth(part k, what is said of it), or score(contradiction)

with p from how much the other one doubts each part. A network a level is fitted to softmax(worth / beta) in what it
answers and, below the root, to softmax(-worth) in what it doubts; beside that it foretells what the debater itself says
of the parts, which takes no verdict.

Departures. From the first paper: statements are answers to parts, not free text; both debaters are one network, and a
network is fitted to the value of every answer instead of by sampled self-play, which did not get off the ground here;
a debater changes at most one of its own answers to support another conclusion, the one that it thinks likeliest; the
precommitted answer is drawn at random, not known to be wrong. From the second: either debater is prover and challenger
at once; a contradiction is public, so that a challenger that sees one names it, and only which fact to doubt is
learnt; a step is a question with its parts. In both, the lower levels are trained before the higher ones, whose
networks stand on theirs.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import log_softmax

from rewardtree.policies.answering import torch_generator
from rewardtree.policies.naming import CLOSE, LASTING, WORLDS, Fitting, NamingLearner, NamingPolicy, logits_of
from rewardtree.policies.transformer import Weights, grown, initial_weights, regrown
from rewardtree.preferences import Comparison, comparison_ids
from rewardtree.protocols.debate_game import (
    Beliefs,
    Floor,
    Mind,
    Rules,
    Transcript,
    argue,
    describe,
    ending,
    exhibits,
    judge,
    own_parts,
    settle,
)
from rewardtree.protocols.scheme import Scheme, with_parts
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.rewards.ensemble import Fit, RewardModel, RewardShape, fit, initial
from rewardtree.tasks.decomposition import Decomposition, Names, Questions, everything, named, one_each, truth
from rewardtree.tasks.levels import level_name
from rewardtree.tree.checkpoint import Feedback, Trained, folder, load_weights, save_weights
from rewardtree.tree.comparing import collect, keep
from rewardtree.tree.evaluating import judge_of
from rewardtree.tree.loop import Training
from rewardtree.tree.measure import accuracy, frozen_pairs
from rewardtree.tree.node import Node, Tree

RARE = 1e-6
"""Least probability that a free opponent gives to a name."""
VALIDATION = 400
"""Validation questions on which debates are measured."""
BATCHES = 8
"""Updates whose worlds are drawn and settled at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Debater:
    """A mind made of networks, one a level; numbers from `vocabulary` on stand for doubts."""

    family: Decomposition
    weights: Mapping[int, Weights]

    def __call__(self, level: int, asked: Questions) -> Beliefs:
        """One pass of each world through the level's network."""
        first, names = self.family.vocabulary, self.family.names
        logits = logits_of(self.weights[level], level, asked.worlds, first + names)
        allowed = self.family.allowed(level)
        answers, doubts = (np.where(allowed, part, -np.inf) for part in (logits[..., :names], logits[..., first:]))
        return Beliefs(answers=log_softmax(answers, axis=2), doubts=log_softmax(doubts, axis=2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """One scheme under one setting.

    Attributes:
        rules: of its game.
        family: of its questions.
        tree: whose root the verdicts are about.
        learner: gives the size of networks and how far they are fitted.
        updates: of each level's network a round.
        training: gives the store, the folder and chance.
    """

    rules: Rules
    family: Decomposition
    tree: Tree
    learner: NamingLearner
    updates: tuple[int, ...]
    training: Training

    @property
    def root(self) -> Node:
        """Whose questions are debated."""
        return self.tree.nodes[self.tree.root]

    def untrained(self) -> Weights:
        """Random weights, the same for every level; doubts are names of their own."""
        family = self.family
        shape = replace(self.learner.shape(), vocabulary=family.vocabulary + family.names)
        return initial_weights(shape, torch_generator(self.training.rng("initial")))

    def policy(self, weights: Weights, version: str) -> NamingPolicy:
        """What a debater answers at the root."""
        depth = self.family.depth
        return NamingPolicy(weights=weights, level=depth, allowed=self.family.allowed(depth), version=version)

    def kept(self, part: str, number: int, make: Callable[[], tuple[Weights, dict[str, Any]]]) -> Any:
        """What an earlier call has made and left on the disk, else what is made now."""
        path = folder(self.training.out, self.rules.name, part, number)
        found = load_weights(path)
        if found is None:
            found = make()
            save_weights(path, *found)
        return found


def run(rules: Rules, setting: Setting) -> Outcome:
    """Train debaters by self-play; the trained policy is the answer that they would defend.

    In each of the root's iterations debates are judged, the model of the judge is fitted to all verdicts so far, and
    the debaters are improved against it, the lower levels before the higher ones.
    """
    contest = contest_of(rules, setting)
    weights = dict.fromkeys(range(contest.family.depth + 1), contest.untrained())
    before, trained = None, None
    for number in range(contest.root.budget.iterations):
        model, feedback, figures = judged(contest, weights, number, before)
        before, earlier = feedback, weights
        for level in range(contest.family.depth + 1):
            start = earlier[level]
            if level:
                below = weights[level - 1]
                start = regrown(start, below, level) if number else grown(below, level)
            made = partial(improve, contest, weights | {level: start}, level, model, number)
            weights = weights | {level: contest.kept(level_name(level), number, made)[0]}
        trained = Trained(
            policy=contest.policy(weights[contest.family.depth], f"{rules.name}/{number + 1}"),
            untrained=contest.policy(contest.untrained(), "untrained"), reward_model=model, feedback=feedback,
            fits=(*(trained.fits if trained else ()), figures),
        )  # fmt: skip
        setting.observe(rules.name, contest.root, number, trained)
    contest.kept("validation", 0, lambda: ({}, measured(contest, weights, setting)))
    assert trained is not None
    return Outcome(
        protocol=rules.name, title=rules.title, evaluator="assisted", reward_model_sees="how each side ended",
        tree=contest.tree, nodes={contest.root.name: trained}, charged=(rules.name,),
    )  # fmt: skip


def contest_of(rules: Rules, setting: Setting) -> Contest:
    """The root gets the labels of the whole tree."""
    settings, family = setting.settings, setting.decomposition
    assert family is not None
    whole = setting.build(settings)
    tree = setting.build(
        replace(settings, root=replace(settings.root, labels=whole.labels // settings.root.iterations))
    )
    learner = tree.nodes[tree.root].learner
    assert isinstance(learner, NamingLearner)
    return Contest(
        rules=rules, family=family, tree=tree, learner=learner,
        updates=(settings.helper_updates,) * family.depth + (settings.updates,),
        training=setting.training(rules.name, tree, evaluators="assisted"),
    )  # fmt: skip


def judged(
    contest: Contest, weights: Mapping[int, Weights], number: int, before: Feedback | None
) -> tuple[RewardModel, Feedback, Fit]:
    """Hold debates, have them judged, and fit the model of the judge to these verdicts and those before."""

    def make() -> tuple[Weights, dict[str, Any]]:
        feedback = hold(contest, weights, number)
        feedback = feedback if before is None else before.plus(feedback)
        preferences = collect(contest.training.store, feedback.ids)
        generator = torch_generator(contest.training.rng("judge", number))
        model, figures = fit(
            initial(shape, generator), feedback.first, feedback.second, preferences, generator=generator
        )
        shown = {"first": torch.as_tensor(feedback.first), "second": torch.as_tensor(feedback.second)}
        return shown | {f"model.{n}": w for n, w in model.weights.items()}, {
            "ids": feedback.ids,
            "fit": asdict(figures),
        }

    one = one_each(contest.family, np.random.default_rng(0), 1, "train", 0)
    features = ending(contest.family.links(one, one.asked), *np.zeros((2, 1), dtype=bool)).shape[1]
    shape = RewardShape(features=features, hidden=contest.root.hidden, members=contest.root.members)
    found, record = contest.kept("judge", number, make)
    model = RewardModel(shape=shape, weights={n[6:]: w for n, w in found.items() if n.startswith("model.")})
    feedback = Feedback(first=found["first"].numpy(), second=found["second"].numpy(), ids=record["ids"])
    return model, feedback, Fit(**record["fit"])


def hold(contest: Contest, weights: Mapping[int, Weights], number: int) -> Feedback:
    """A round of debates on the root's questions; some answers and attacks are drawn at random, at first all."""
    root, family, rng = contest.root, contest.family, contest.training.rng("debates", number)
    asked = one_each(family, rng, root.budget.labels, "train", family.depth)
    mind = Debater(family=family, weights=weights)
    astray = rng.random((2, len(asked))) < (contest.learner.explore if number else 1.0)
    answers = opposed(contest, mind, asked, astray, rng)
    sides = debate(contest.rules, family, (mind, mind), asked, answers, rng, astray)
    version = f"{contest.rules.name}/{number}"
    ids = put(contest.training, root, f"{contest.training.seed}/{number}", asked, sides, version, rng)
    first, second = (ending(side.links, side.clash, side.sound) for side in sides)
    return Feedback(first=first, second=second, ids=ids)


def opposed(
    contest: Contest, mind: Mind, asked: Questions, astray: Bool[np.ndarray, "2 debates"], rng: np.random.Generator
) -> tuple[Names, Names]:
    """Two different answers to each question of the root, one of them fixed beforehand if the rules say so."""
    depth = contest.family.depth
    own = mind(depth, asked).answers[asked.row, asked.asked]
    any_name = np.where(contest.family.allowed(depth), 0.0, -np.inf)
    first = (np.where(astray[0, :, None], any_name, own) + rng.gumbel(size=own.shape)).argmax(axis=1)
    drawn = np.where(astray[1, :, None] | (not contest.rules.free), any_name, own)
    drawn[np.arange(len(asked)), first] = -np.inf
    second = (drawn + rng.gumbel(size=own.shape)).argmax(axis=1)
    swap = rng.random(len(asked)) < 0.5
    return np.where(swap, second, first), np.where(swap, first, second)


def debate(
    rules: Rules, family: Decomposition, minds: tuple[Mind, Mind], asked: Questions, answers: tuple[Names, Names],
    rng: np.random.Generator, astray: Bool[np.ndarray, "2 debates"] | None = None,
) -> tuple[Transcript, Transcript]:  # fmt: skip
    """Both sides of debates on the highest level's questions: each mind defends its answer against the other."""
    depth = family.depth
    loose = np.zeros((2, len(asked)), dtype=bool) if astray is None else astray
    thoughts = [{level: mind(level, asked) for level in range(depth or 1)} for mind in minds]
    floors = [
        Floor(family=family, committed=rules.committed, speaker=speaker, other=other)
        for speaker, other in (thoughts, thoughts[::-1])
    ]
    first, second = (argue(f, depth, asked, a, rng, s) for f, a, s in zip(floors, answers, loose, strict=True))
    return first, second


def put(
    training: Training,
    node: Node,
    place: str,
    asked: Questions,
    sides: tuple[Transcript, Transcript],
    version: str,
    rng: np.random.Generator,
) -> list[str]:
    """Put debates to the judge through the store; returns their names. Those judged already are not judged again."""
    store, shown = training.store, exhibits(asked, sides, node.bounds.budget)
    records = describe(sides[0], "debater_1", "debater_2"), describe(sides[1], "debater_2", "debater_1")
    payloads = [
        {"at": place, "row": row, "input": given, "first": first, "second": second}
        for row, (given, first, second) in enumerate(zip(asked.digest(), *records, strict=True))
    ]
    shared: dict[str, Any] = {
        "node": node.name, "protocol": training.protocol, "question": f"Which debater is right about {node.name}?",
        "budget": node.bounds.budget or 0, "policy_versions": {"debater": version},
    }  # fmt: skip
    ids = comparison_ids(payloads, run=store.run, **shared)
    debates = [Comparison(id=i, payload=p, slots=0, **shared) for i, p in zip(ids, payloads, strict=True)]
    store.submit(debates)
    keep(store, "judge", "assisted", debates, judge(shown, node.bounds, rng))
    return ids


def improve(
    contest: Contest, weights: Mapping[int, Weights], level: int, model: RewardModel, number: int
) -> tuple[Weights, dict[str, Any]]:
    """Fit one level's network to what answers and doubts are worth under the model of the judge."""
    family, rng = contest.family, contest.training.rng("self-play", number, level)
    mind, updates = Debater(family=family, weights=weights), contest.updates[level]
    pointed = 1 if contest.rules.committed else family.depth
    fitting, close, done = Fitting(weights[level], updates), 0, 0
    while done < updates and close < LASTING:
        drawn = one_each(family, rng, WORLDS * min(BATCHES, updates - done), "train", level)
        asked = everything(family, drawn, level)
        thoughts = {lower: mind(lower, asked) for lower in range(level or 1)}
        floor = Floor(family=family, committed=contest.rules.committed, speaker=thoughts, other=thoughts)
        worth = settle(floor, level, asked, lambda ends: model.score(ends)[0])[0][level][asked.row, asked.asked]
        rival = np.ones_like(worth)
        if contest.rules.free:
            current = Debater(family=family, weights={**weights, level: fitting.result()})
            rival = np.exp(current(level, asked).answers[asked.row, asked.asked])
        target = targets(family, level, worth, rival, contest.learner.beta, doubts=level < pointed)
        parts = own_parts(floor, level, asked)
        for batch in range(len(drawn) // WORLDS):
            rows = np.flatnonzero(asked.row // WORLDS == batch)
            divergence = fitting.update(asked.take(rows), level, target[rows], [said[rows] for said in parts])
            close, done = close + 1 if divergence < CLOSE else 0, done + 1
            if close == LASTING:
                break
    return fitting.result(), {"updates": done}


def targets(
    family: Decomposition, level: int, worth: Float[np.ndarray, "rows names"], rival: Float[np.ndarray, "rows names"],
    beta: float, *, doubts: bool,
) -> Float[np.ndarray, "rows outputs"]:  # fmt: skip
    """Log-probabilities of the best answers and doubts, -inf where nothing belongs.

    Args:
        family: of the questions.
        level: of the questions.
        worth: of asserting each name, in nats.
        rival: how often an opponent holds each name.
        beta: nats of worth a nat of divergence of answers from the uniform policy; for doubts it is 1.
        doubts: whether there are any; they get half of the mass.
    """
    allowed = np.flatnonzero(family.allowed(level))
    worth, rival = worth[:, allowed], np.maximum(rival[:, allowed], RARE)
    others = (rival * worth).sum(axis=1, keepdims=True) - rival * worth
    advantage = worth - others / (rival.sum(axis=1, keepdims=True) - rival)
    found = np.full((len(worth), family.vocabulary + family.names), -np.inf)
    found[:, allowed] = log_softmax(advantage / beta, axis=1)
    if doubts:
        found[:, allowed] += np.log(0.5)
        found[:, family.vocabulary + allowed] = log_softmax(-worth, axis=1) + np.log(0.5)
    return found


def measured(contest: Contest, weights: Mapping[int, Weights], setting: Setting) -> dict[str, float]:
    """On the validation split: how often the right side wins, and the judge with debates and without."""
    root, family, rng = contest.root, contest.family, contest.training.rng("validation")
    mind = Debater(family=family, weights=weights)

    def right(asked: Questions, answers: tuple[Names, Names]) -> Float[np.ndarray, " debates"]:
        """Chance that the judge prefers the right side; a debate without just one right side is left out."""
        sides = debate(contest.rules, family, (mind, mind), asked, answers, rng)
        first, second = (truth(family, family.depth, asked) == answer for answer in answers)
        probability = judge(exhibits(asked, sides, root.bounds.budget), root.bounds, rng).probability
        chance: Float[np.ndarray, " debates"] = np.where(first, probability, 1 - probability)[first != second]
        return chance

    asked = one_each(family, rng, VALIDATION, "validation", family.depth)
    won = right(asked, opposed(contest, mind, asked, np.zeros((2, VALIDATION), dtype=bool), rng))
    experience = setting.experience(contest.tree, root)
    pairs = frozen_pairs(root, experience.scale, VALIDATION, "validation")
    given = tuple(named(family, outputs.value) for outputs in pairs.outputs)
    alone = accuracy(judge_of(experience, root, {}, rng), root, pairs).noisy
    return {
        "won_by_the_right_side": float(won.mean()) if len(won) else float("nan"),
        "debates_with_a_right_side": len(won) / VALIDATION,
        "judge_accuracy": float(right(pairs.inputs, (given[0], given[1])).mean()),
        "judge_accuracy_without_debate": float(alone.mean()),
    }


def _scheme(rules: Rules, paper: str) -> Scheme:
    return Scheme(name=rules.name, title=rules.title, paper=paper, run=partial(run, rules), refuses=with_parts)


FIRST = "Irving, Christiano & Amodei 2018, arXiv 1805.00899"
PRECOMMITTED = _scheme(
    Rules(name="debate_precommitted", title="Debate, one answer precommitted", free=False, committed=False), FIRST
)
FREE = _scheme(Rules(name="debate_free", title="Debate, both answers free", free=True, committed=False), FIRST)
DOUBLY_EFFICIENT = _scheme(
    Rules(name="debate_doubly_efficient", title="Doubly-efficient debate", free=True, committed=True),
    "Brown-Cohen, Irving & Piliouras 2023, arXiv 2311.14125",
)
