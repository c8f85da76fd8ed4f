"""What every protocol is given, and what it gives back, so that protocols stand on one ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rewardtree.evaluators.calibration import Experience
from rewardtree.policies.learner import Policy
from rewardtree.preferences import Store
from rewardtree.tasks.decomposition import Decomposition
from rewardtree.tree.asking import People
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import known
from rewardtree.tree.judging import Judges
from rewardtree.tree.loop import Evaluators, Training
from rewardtree.tree.node import Node, Schedule, Tree

Observer = Callable[[str, Node, int, Trained], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One task, one seed, one store, one budget of labels for the whole tree.

    Attributes:
        build: the domain's tree for given settings.
        settings: labels, evaluators' limits, seed.
        store: of this seed.
        out: folder of this seed.
        schedule: order of training.
        decomposition: how the root's questions fall into easier ones, where the domain says so.
        start: policies that nodes begin with instead of untrained ones, by name of the node or its policy group.
        demonstrations: of each node whose task can be demonstrated.
        experiences: what evaluators know, shared by all protocols.
        people: how people take part in recursive reward modelling, if they do; yardsticks are judged without them.
        judges: how a language model takes part as a judge, if one does; the same holds.
        observe: called with the protocol's name after every iteration.
    """

    build: Callable[[Settings], Tree]
    settings: Settings
    store: Store
    out: Path
    schedule: Schedule = "leaves_first"
    decomposition: Decomposition | None = None
    start: Mapping[str, Policy] = field(default_factory=dict)
    demonstrations: int = 100
    experiences: dict[str, Experience] = field(default_factory=dict)
    people: People | None = None
    judges: Judges | None = None
    observe: Observer = lambda protocol, node, iteration, trained: None

    def experience(self, tree: Tree, node: Node) -> Experience:
        """What evaluators know of a node's task."""
        return known(self.experiences, tree, node, self.settings.seed)

    def training(
        self,
        protocol: str,
        tree: Tree,
        *,
        evaluators: Evaluators,
        borrowed: Mapping[str, Trained] | None = None,
        people: People | None = None,
        judges: Judges | None = None,
    ) -> Training:
        """A training under this setting."""
        return Training(
            tree=tree,
            protocol=protocol,
            seed=self.settings.seed,
            store=self.store,
            out=self.out,
            start=self.start,
            evaluators=evaluators,
            borrowed=borrowed or {},
            experiences=self.experiences,
            people=people,
            judges=judges,
            observe=lambda node, iteration, trained: self.observe(protocol, node, iteration, trained),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a protocol trained.

    Attributes:
        protocol: its name.
        title: for reports.
        evaluator: who judged the root: assisted, unaided or expert.
        reward_model_sees: what the root's reward model is shown.
        tree: as trained.
        nodes: trained nodes, helpers included where the protocol used any.
        charged: protocols in the ledger whose labels this one has spent; its own first.
    """

    protocol: str
    title: str
    evaluator: str
    reward_model_sees: str
    tree: Tree
    nodes: Mapping[str, Trained]
    charged: tuple[str, ...]
