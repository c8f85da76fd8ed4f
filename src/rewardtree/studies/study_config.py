"""A study's configuration, parsed at the edge from a YAML file."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rewardtree.errors import ConfigError
from rewardtree.preferences.opening import without_password
from rewardtree.studies.config import RunConfig, explain, parse
from rewardtree.studies.installed import find_protocol

ALWAYS = "recursive_reward_modeling"


class StudyConfig(BaseModel):
    """All that decides a study. Fields are the configuration's names everywhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str = "algorithms"
    task: str | None = Field(None, description="of the domain, where it has several")
    schemes: tuple[str, ...] = (ALWAYS, "flat_unaided", "flat_expert")
    seeds: int = Field(5, ge=1, le=1000, description="number of seeds, from `seed` on")
    seed: int = Field(0, ge=0)
    labels: tuple[int, ...] = Field((1000,), min_length=1, description="budgets: labels of every node of the tree")
    depth: int | None = Field(None, ge=0, description="of the tree, where the domain lets one choose")
    ladder: dict[str, int] = Field(
        default_factory=dict, description="tasks on which every depth is measured, up to the number given"
    )
    preset: Literal["tiny", "quick", "full"] = "quick"
    settings: dict[str, Any] = Field(default_factory=dict, description="any name of a run's configuration")
    executor: Literal["processes", "ray", "serial"] = "processes"
    workers: int = Field(2, ge=1, description="jobs at a time")
    address: str | None = Field(None, description="of a Ray cluster; one on this machine is started if not given")

    def run(self, task: str | None, labels: int, depth: int | None) -> RunConfig:
        """What one tree of the study is trained by.

        Raises:
            ConfigError: where `settings` are no run's configuration.
        """
        options = dict(self.settings.get("options", {}))
        options |= {} if task is None else {"task": task}
        options |= {} if depth is None else {"depth": depth}
        plain = parse({"domain": self.domain, "preset": self.preset} | self.settings | {"options": options})
        given = {
            "helper_labels": max(2, labels // plain.helper_iterations),
            "root_labels": max(2, labels // plain.root_iterations),
        }
        return plain.model_copy(update=given)

    def to_show(self) -> dict[str, Any]:
        """All fields as a report may tell them, in JSON's types: without the database's password."""
        config = self.model_dump(mode="json")
        if config["settings"].get("store"):
            config["settings"]["store"] = without_password(config["settings"]["store"])
        return config


Parsed = TypeVar("Parsed", bound=StudyConfig)


def parse_study(given: Mapping[str, Any]) -> StudyConfig:
    """Check a study's configuration; see `parse_as`."""
    return parse_as(StudyConfig, given)


def parse_as(kind: type[Parsed], given: Mapping[str, Any]) -> Parsed:
    """Check the configuration of a kind of study.

    Raises:
        ConfigError: naming every wrong value at once, and the nearest known name for an unknown one; or a scheme that
            is not installed.
    """
    try:
        config = kind(**given)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(p, kind.model_fields) for p in error.errors())) from error
    for name in config.schemes:
        find_protocol(name)
    for name in ("labels", "schemes"):
        if len(set(getattr(config, name))) < len(getattr(config, name)):
            raise ConfigError(f"{name} holds something twice; name each once")
    reserved = set(config.settings) & {"domain", "preset", "seed", "seeds", "helper_labels", "root_labels", "workers"}
    if reserved:
        raise ConfigError(f"settings cannot hold {', '.join(sorted(reserved))}; give those beside `settings`")
    if any(depth < 1 for depth in config.ladder.values()):
        raise ConfigError("a ladder's tasks need a depth of 1 or more each")
    asked = config.run(config.task, config.labels[0], config.depth).evaluator
    if asked != "simulated":
        raise ConfigError(f"a study asks simulated evaluators alone, not {asked!r}; leave evaluator out of settings, "
                          f"or train one tree by: rewardtree run {config.domain} --evaluator {asked}")  # fmt: skip
    return config
