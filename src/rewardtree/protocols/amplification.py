"""Iterated amplification (Christiano, Shlegeris & Amodei 2018, arXiv 1810.08575).

One network X answers the questions of all levels. H' imitates how a human decomposes a question, asks X for the parts
and concludes: that is Amplify^H'(X). X is fitted to its answers, while the curriculum takes in one level after the
other, then one size after the other. No evaluator compares anything; the human's demonstrations are what is charged.

Departures from the paper, section 2.3 and appendix:

- H' is no transformer that is trained alongside X but a short program: for each level and step, the move among `Move`s
  that explains most demonstrations. It is settled when the curriculum takes a level in, from a counted number of
  demonstrations about worlds of the full size, 200 at most instead of tens of thousands, with X answering the parts.
  The rule by which answers are put together (`conclude`) is one of the moves; H' does not learn the rule itself.
- At level 0, H' looks the fact up where X sees it too, in the world's tokens; that is no evaluator's reading.
- X is the small transformer of `rewardtree.policies.transformer`, which sees a whole world at once and grows by a block
  a level. As in debate, and in recursive reward modelling where reward models see claims, it foretells the answers to
  parts. It has as many updates as recursive reward modelling over all levels at most.
- X's teacher is a running average of X's weights, as in the paper; each stage begins with the average that the one
  before it ended with, and Adam anew.
- Levels come first, at the smallest size, then sizes. A stage is passed when X agrees with its teacher on more than
  0.85 of the questions at each level, not over all; levels where they agree less are practised more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from rewardtree.policies.naming import CLOSE, LASTING, WORLDS, Fitting, NamingPolicy
from rewardtree.policies.transformer import KEPT, Weights, grown
from rewardtree.preferences import Demonstration
from rewardtree.protocols.scheme import Scheme, with_parts
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import Answerer, Decomposition, Names, Questions, everything, one_each, sample
from rewardtree.tasks.levels import level_name
from rewardtree.tree.checkpoint import Trained, folder, load_weights, save_weights
from rewardtree.tree.node import Tree

NAME = "amplification"
DEMONSTRATIONS = 200
"""Of each level, at most; never more than the level has labels."""
PASSED = 0.85
"""Agreement with the teacher from which on the curriculum goes on."""
FIRM = 0.999
"""Agreement from which on the last stage may end: what is kept is the average of X's weights, which lags behind X."""
LATEST = 0.1
"""Weight of an update in the running mean of agreement."""
FOLLOWING = 0.02
"""How far the teacher's weights move towards X's in an update."""
PRACTICE = 0.1
"""How much a level is practised on which X and its teacher agree."""

Taught = tuple[Names, list[Names]]
"""Answers, and the answers to the questions' parts that they follow from."""
Teach = Callable[[Decomposition, int, Questions, Answerer], Taught]
"""What X is fitted to: family, level, questions, and who answers their parts."""


# --- H': what a human does at a step, learnt from demonstrations ---


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A number that stands in the transcript, and what is added to it.

    Attributes:
        source: which number; "nothing" for a fixed number.
        plus: added to it.
    """

    source: str
    plus: int

    def __call__(self, seen: Mapping[str, Names]) -> Names:
        """The numbers that the move makes of what is seen."""
        return seen[self.source] + self.plus


def askable(nameable: Int[np.ndarray, "batch nameable"]) -> dict[str, Names]:
    """What the next part may be about."""
    columns = {f"nameable_{number}": column for number, column in enumerate(nameable.T)}
    return {"nothing": np.zeros(len(nameable), dtype=np.int64)} | columns


def concludable(family: Decomposition, level: int, context: np.ndarray, said: Sequence[Names]) -> dict[str, Names]:
    """What the conclusion may be: an answer to a part, or what follows by the known rule."""
    answers = {f"answer_{number}": names for number, names in enumerate(said)}
    rule = {"rule": family.conclude(level, context, said)}
    return {"nothing": np.zeros(len(context), dtype=np.int64)} | answers | rule


def explaining(seen: Mapping[str, Names], done: Names) -> list[Move]:
    """The moves that explain what was done in most demonstrations; several where these do not tell them apart."""
    found: dict[Move, int] = {}
    for source, numbers in seen.items():
        for plus, count in zip(*np.unique(done - numbers, return_counts=True), strict=True):
            found[Move(source=source, plus=int(plus))] = int(count)
    return [move for move, count in found.items() if count == max(found.values())]


@dataclass(frozen=True, kw_only=True, slots=True)
class Imitation:
    """H' at one level.

    Attributes:
        below: level of each part.
        asks: what each part is about.
        answer: what is concluded.
    """

    below: tuple[int, ...]
    asks: tuple[Move, ...]
    answer: Move


def imitate(
    family: Decomposition, level: int, shown: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> Imitation:
    """Learn H' at a level.

    Args:
        family: of the questions; only its rule is used.
        level: of the questions.
        shown: outputs of demonstrations, see `demonstrate`.
        rng: chooses where several moves explain equally much.
    """
    steps = [[demonstration["parts"][number] for demonstration in shown] for number in range(len(shown[0]["parts"]))]

    def choose(moves: list[Move]) -> Move:
        return moves[rng.integers(len(moves))]

    context = np.array([demonstration["context"] for demonstration in shown], dtype=np.int64)
    said = [np.array([part["said"] for part in step]) for step in steps]
    answer = np.array([demonstration["answer"] for demonstration in shown])
    return Imitation(
        below=tuple(int(np.bincount([part["level"] for part in step]).argmax()) for step in steps),
        asks=tuple(
            choose(explaining(askable(np.array([p["nameable"] for p in step])), np.array([p["asked"] for p in step])))
            for step in steps
        ),
        answer=choose(explaining(concludable(family, level, context, said), answer)),
    )


def demonstrate(
    family: Decomposition, level: int, count: int, x: Answerer, lapse: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Transcripts of a human who answers training questions with X's help; concrete numbers, JSON-able.

    Args:
        family: the human follows its `part` and `conclude`.
        level: of the questions.
        count: of demonstrations.
        x: answers the parts.
        lapse: share of steps that are taken blindly.
        rng: for questions and lapses.

    Returns:
        Of each the question, the parts (their level, what could be named at that moment, what was asked, what X said),
        what the conclusion may depend on, and the answer.
    """
    asked = one_each(family, rng, count, "train", level)
    parts: list[dict[str, Any]] = []
    said: list[Names] = []
    for number, below in enumerate(family.parts(level)):
        nameable = family.nameable(asked, said)
        blindly = np.where(family.askable(asked.worlds, below), rng.random(asked.worlds.tokens.shape[:2]), -1.0)
        part = np.where(rng.random(count) < lapse, blindly.argmax(axis=1), family.part(level, number, asked, said))
        said.append(x(below, asked.about(asked.row, part)))
        parts.append({"level": np.full(count, below), "nameable": nameable, "asked": part, "said": said[-1]})
    context = family.context(asked)
    blind = rng.choice(np.flatnonzero(family.allowed(level)), count)
    answer = np.where(rng.random(count) < lapse, blind, family.conclude(level, context, said))
    return [
        {
            "question": int(asked.asked[row]),
            "world": int(asked.keys[row]),
            "parts": [{name: values[row].tolist() for name, values in part.items()} for part in parts],
            "context": context[row].tolist(),
            "answer": int(answer[row]),
        }
        for row in range(count)
    ]


def amplify(
    family: Decomposition, imitations: Mapping[int, Imitation], level: int, asked: Questions, x: Answerer
) -> Taught:
    """Amplify^H'(X): at level 0 the fact, above it what H' concludes from X's answers to the parts that it asks."""
    if level == 0:
        return asked.worlds.facts[asked.row, asked.asked], []
    imitation, tokens = imitations[level], asked.worlds.tokens.shape[1]
    said: list[Names] = []
    for below, move in zip(imitation.below, imitation.asks, strict=True):
        part = move(askable(family.nameable(asked, said)))
        part = np.where((part >= 0) & (part < tokens), part, asked.asked)
        said.append(x(below, asked.about(asked.row, part)))
    answer = imitation.answer(concludable(family, level, family.context(asked), said))
    allowed = family.allowed(level)
    fits = (answer >= 0) & (answer < len(allowed)) & allowed[np.clip(answer, 0, len(allowed) - 1)]
    return np.where(fits, answer, np.flatnonzero(allowed)[0]), said


# --- X: distillation along the curriculum ---


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A step of the curriculum: worlds of one size, questions of levels 0 to `top`."""

    size: int
    top: int


def curriculum(family: Decomposition) -> tuple[Stage, ...]:
    """All levels at the least size, then all levels at each larger one."""
    least, *larger = family.sizes()
    levels = (Stage(size=least, top=top) for top in range(family.depth + 1))
    return (*levels, *(Stage(size=size, top=family.depth) for size in larger))


def answerer(family: Decomposition, weights: Weights) -> Answerer:
    """The network with these weights, answering with what it is surest of."""

    def answer(level: int, asked: Questions) -> Names:
        policy = NamingPolicy(weights=weights, level=level, allowed=family.allowed(level), version="now")
        found: Names = policy.logits(asked).argmax(axis=1)
        return found

    return answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Practised:
    """X after a stage.

    Attributes:
        weights: of the teacher, the average of X's.
        updates, questions: that it took so far.
        agreement: of X with its teacher at each level, lately.
        passed: whether the stage was passed before the updates ran out.
    """

    weights: Weights
    updates: int
    questions: int
    agreement: tuple[float, ...]
    passed: bool


def practise(
    family: Decomposition, stage: Stage, start: Practised, teach: Teach, budget: int, rng: np.random.Generator
) -> Practised:
    """One stage: fit X to what it is taught until it agrees; at the last stage until it is close, as other fits are.

    Args:
        family: of the full size.
        stage: which levels and size.
        start: X so far.
        teach: gives the answers that X is fitted to.
        budget: updates of all stages together, at most.
        rng: the only source of chance.
    """
    world, levels = family.sized(stage.size), stage.top + 1
    last = stage == curriculum(family)[-1]
    fresh = stage.top and not start.weights["settled"][stage.top - 1]
    begin = grown(start.weights, stage.top) if fresh else start.weights
    fitting = Fitting(begin, max(1, budget - start.updates), together=True)
    teacher = {name: value.clone() for name, value in begin.items()}
    followed = [value for name, value in teacher.items() if name not in KEPT]
    x, agreed, close, passed = answerer(world, teacher), np.zeros(levels), 0, False
    updates, questions = start.updates, start.questions
    while updates < budget and not passed:
        wanting = PRACTICE + 1 - agreed
        level = int(rng.choice(levels, p=wanting / wanting.sum()))
        asked = drawn(world, level, rng)
        taught, parts = teach(world, level, asked, x)
        agreed[level] += LATEST * ((x(level, asked) == taught).mean() - agreed[level])
        divergence = fitting.update(asked, level, certain(taught, world.allowed(level)), parts)
        with torch.no_grad():
            torch._foreach_lerp_(followed, fitting.learnt, FOLLOWING)
        updates, questions = updates + 1, questions + len(asked)
        close = close + 1 if divergence < CLOSE else 0
        passed = bool(agreed.min() > (FIRM if last else PASSED)) and (not last or close >= LASTING * levels)
    return Practised(
        weights=teacher, updates=updates, questions=questions, agreement=tuple(agreed.tolist()), passed=passed
    )


def drawn(family: Decomposition, level: int, rng: np.random.Generator) -> Questions:
    """Every question of a level about fresh worlds."""
    worlds, keys = sample(family, rng, WORLDS, "train")
    nobody = np.empty(0, dtype=np.int64)
    return everything(family, Questions(worlds=worlds, row=nobody, asked=nobody, keys=keys), level)


def certain(names: Names, allowed: np.ndarray) -> np.ndarray:
    """Log-probabilities of giving just these names: 0, next to nothing for others, -inf for those not allowed."""
    target = np.tile(np.where(allowed, -1e9, -np.inf), (len(names), 1))
    target[np.arange(len(names)), names] = 0.0
    return target


# --- the scheme ---


def run(setting: Setting) -> Outcome:
    """Train X by amplification."""
    family = decomposition(setting)
    tree = setting.build(setting.settings)
    imitations: dict[int, Imitation] = {}

    def prepare(stage: Stage, x: Practised) -> None:
        if stage.top and stage.top not in imitations:
            imitations[stage.top] = learnt(setting, tree, family, stage.top, answerer(family, x.weights))

    def teach(world: Decomposition, level: int, asked: Questions, x: Answerer) -> Taught:
        return amplify(world, imitations, level, asked, x)

    return Outcome(
        protocol=NAME,
        title="Iterated amplification",
        evaluator="demonstrator",
        reward_model_sees="nothing",
        tree=tree,
        nodes={tree.root: trained(setting, tree, NAME, prepare, teach)},
        charged=(NAME,),
    )


def decomposition(setting: Setting) -> Decomposition:
    """What the domain says of how questions fall into easier ones; schemes that refuse without are not run."""
    assert setting.decomposition is not None, "the scheme refuses such a setting"
    return setting.decomposition


def learnt(setting: Setting, tree: Tree, family: Decomposition, level: int, x: Answerer) -> Imitation:
    """H' at a level, from demonstrations that are in the store, or else are given now and stored in one go."""
    node = tree.nodes[level_name(level)]
    if not setting.store.remarks(node.name, NAME):
        count = min(DEMONSTRATIONS, node.budget.total)
        shown = demonstrate(family, level, count, x, node.bounds.lapse, chance(setting, NAME, "human", level))
        setting.store.record(
            Demonstration(
                evaluator="demonstrator", node=node.name, protocol=NAME, output=output,
                subject=f"{number}: question {output['question']} about world {output['world']}",
            )
            for number, output in enumerate(shown)
        )  # fmt: skip
    given = [one.output for one in setting.store.remarks(node.name, NAME) if isinstance(one, Demonstration)]
    return imitate(family, level, given, chance(setting, NAME, "imitation", level))


def trained(
    setting: Setting, tree: Tree, protocol: str, prepare: Callable[[Stage, Practised], None], teach: Teach
) -> Trained:
    """X at the root's level after the whole curriculum, or as far as the updates last.

    Args:
        setting: gives updates, seed and folder; stages that an earlier call finished are read.
        tree: its root's learner shapes X.
        protocol: names the folder and the chance.
        prepare: called before every stage with X so far.
        teach: gives the answers that X is fitted to.
    """
    family, learner = decomposition(setting), tree.nodes[tree.root].learner
    untrained = learner.initial(chance(setting, protocol, "initial", 0))
    x = Practised(weights=untrained.weights, updates=0, questions=0, agreement=(), passed=True)
    for number, stage in enumerate(curriculum(family)):
        if not x.passed:
            break
        prepare(stage, x)
        path = folder(setting.out, protocol, tree.root, number)
        finished = load_weights(path)
        if finished is None:
            x = practise(family, stage, x, teach, budget(setting, tree), chance(setting, protocol, "stage", number))
            record = {name: getattr(x, name) for name in ("updates", "questions", "agreement", "passed")}
            save_weights(path, x.weights, record)
        else:
            x = Practised(weights=finished[0], **finished[1] | {"agreement": tuple(finished[1]["agreement"])})
    return Trained(policy=learner.restore(x.weights, f"{protocol}/{x.updates}"), untrained=untrained)


def budget(setting: Setting, tree: Tree) -> int:
    """Updates that recursive reward modelling has over all nodes, at most."""
    settings = setting.settings
    helpers = settings.helper_updates * settings.helper.iterations * (len(tree.nodes) - 1)
    return helpers + settings.updates * settings.root.iterations


def chance(setting: Setting, protocol: str, purpose: str, number: int) -> np.random.Generator:
    """Chance for one purpose: the same whenever that purpose comes up again."""
    return np.random.default_rng([setting.settings.seed, number, *f"{protocol}/{purpose}".encode()])


PAPER = "Christiano et al. 2018, arXiv 1810.08575"
SCHEME = Scheme(name=NAME, title="Iterated amplification", paper=PAPER, run=run, refuses=with_parts)
