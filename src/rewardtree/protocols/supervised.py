"""Not a scheme but a yardstick: amplification's network and curriculum, fitted to the right answers themselves.

The comparison that Christiano et al. 2018 (arXiv 1810.08575), section 3, make: whatever amplification falls short of
this by is lost because answers are put together from X's own. No person could give these answers; nothing is charged.
It has as many updates as amplification at most, and stops by the same rule.
"""

from rewardtree.protocols.amplification import Taught, decomposition, trained
from rewardtree.protocols.scheme import Scheme, with_parts
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import Answerer, Decomposition, Questions, answers_to_parts, truth

NAME = "supervised"


def right(family: Decomposition, level: int, asked: Questions, x: Answerer) -> Taught:
    """The right answers, to the questions and to their parts."""
    parts = answers_to_parts(family, level, asked, lambda below, part: truth(family, below, part))
    return truth(family, level, asked), parts


def run(setting: Setting) -> Outcome:
    """Train the network on right answers."""
    tree = setting.build(setting.settings)
    assert decomposition(setting) is not None
    return Outcome(
        protocol=NAME,
        title="Supervised learning from right answers",
        evaluator="none",
        reward_model_sees="nothing",
        tree=tree,
        nodes={tree.root: trained(setting, tree, NAME, lambda stage, x: None, right)},
        charged=(NAME,),
    )


SCHEME = Scheme(
    name=NAME,
    title="Supervised learning from right answers (a yardstick, not a scheme)",
    paper="Christiano et al. 2018, arXiv 1810.08575, section 3",
    run=run,
    refuses=with_parts,
)
