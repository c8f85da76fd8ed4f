"""Not a scheme but a yardstick: amplification's network and curriculum, fitted to the right answers themselves.

The comparison that Christiano et al. 2018 (arXiv 1810.08575), section 3, make: whatever amplification falls short of
this by is lost because answers are put together from X's own. No person could give these answers; nothing is charged.
It has as many updates as amplification at most, and stops by the same rule.
"""

from rewardtree.protocols.amplification import decomposition, trained
from rewardtree.protocols.scheme import Scheme, with_parts
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.decomposition import truth

NAME = "supervised"


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
        nodes={
            tree.root: trained(
                setting, tree, NAME, lambda stage, x: None, lambda family, level, asked, x: truth(family, level, asked)
            )
        },
        charged=(NAME,),
    )


SCHEME = Scheme(
    name=NAME,
    title="Supervised learning from right answers (a yardstick, not a scheme)",
    paper="Christiano et al. 2018, arXiv 1810.08575, section 3",
    run=run,
    refuses=with_parts,
)
