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
            "budget": 4, "root_iterations": 6, "root_labels": 34, "label_decay": 1.0, "updates": 6,
            "test_pairs": 600, "test_inputs": 24,
        },
        "full": {
            "budget": 4, "root_iterations": 14, "root_labels": 50, "label_decay": 1.0, "updates": 17,
            "test_pairs": 1200, "test_inputs": 16,
        },
    },
)  # fmt: skip
