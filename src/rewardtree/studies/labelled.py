"""What a run's labels by people were worth, for its results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rewardtree.preferences.labelling import open_labelling
from rewardtree.preferences.quality import summarise
from rewardtree.studies.places import labelled


def figures(run: Path) -> dict[str, Any]:
    """Every figure of the quality of people's answers to a run, JSON-able; see `rewardtree.preferences.quality`.

    Raises:
        RunError: where there is no run, or none that people label.
        ConfigError: where the extra `label` is not installed.
    """
    labelling = open_labelling(*labelled(run))
    try:
        return asdict(summarise(labelling.records()))
    finally:
        labelling.close()
