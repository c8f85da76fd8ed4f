"""The control domain as `rewardtree run control` finds it."""

from rewardtree.domains.control.nodes import control_tree
from rewardtree.tree.domain import Domain

DOMAIN = Domain(
    name="control",
    summary="rollouts of a Gymnasium environment, compared piece by piece (options.env names it)",
    nodes=("behaviour",),
    build=control_tree,
    presets={
        "tiny": {"budget": 4, "root_iterations": 2, "root_labels": 20, "updates": 1},
        "quick": {
            "budget": 4, "root_iterations": 20, "root_labels": 10, "label_decay": 4.0, "updates": 2,
            "test_pairs": 600, "test_inputs": 24,
        },
        "full": {
            "budget": 4, "root_iterations": 20, "root_labels": 35, "label_decay": 4.0, "updates": 25,
            "test_pairs": 1200, "test_inputs": 48,
        },
    },
)  # fmt: skip
