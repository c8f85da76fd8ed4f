"""Configuration, parsed at the edge: the same names in a YAML file, as flags and from Python."""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rewardtree.errors import ConfigError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.language.completing import Complete
from rewardtree.language.endpoint import Endpoint, asking
from rewardtree.language.keeping import Kept
from rewardtree.language.named import named
from rewardtree.language.references import ModelRef
from rewardtree.language.spending import Prices
from rewardtree.policies.training import APART, Engine, Launch, Texts, Training, checked, launched
from rewardtree.preferences.opening import without_password
from rewardtree.studies.installed import find_domain
from rewardtree.tree.asking import People, Waiting
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Budget
from rewardtree.yaml_text import read_yaml

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "helper_labels": 60,
        "helper_iterations": 1,
        "root_labels": 40,
        "root_iterations": 1,
        "updates": 4,
        "helper_updates": 10,
        "search": 0.01,
        "test_pairs": 80,
        "test_inputs": 8,
    },
    "quick": {"seeds": 1},
    "full": {
        "helper_labels": 800,
        "helper_iterations": 4,
        "root_labels": 400,
        "root_iterations": 4,
        "updates": 160,
        "test_pairs": 2000,
    },
}
"""What each preset changes. `tiny` is for trying the plumbing: its figures mean nothing."""


ANSWERS, SPENT, ENGINES = "answers", "spent.jsonl", "engines"
"""Where answers of endpoints are kept, in the run's folder; what a seed spent on language models, and the models that
engines leave, in the seed's."""


class EndpointConfig(BaseModel):
    """An OpenAI-compatible endpoint; see `rewardtree.language.endpoint.Endpoint`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="what stands before /chat/completions")
    model: str = Field(description="its name there")
    key_variable: str | None = Field(None, description="environment variable that holds the key")
    at_once: int = Field(8, ge=1, description="requests under way at most, of each seed")
    timeout: float = Field(60.0, gt=0, description="seconds that an answer may take")
    attempts: int = Field(6, ge=1)
    requests_a_minute: float | None = Field(None, gt=0, description="of all seeds together")
    tokens_a_minute: float | None = Field(None, gt=0, description="of all seeds together")
    logprobs: bool = Field(True, description="whether it may be asked for log-probabilities")
    price_prompt: float = Field(0.0, ge=0, description="of a million tokens read")
    price_completion: float = Field(0.0, ge=0, description="of a million tokens written")

    def endpoint(self, processes: int = 1) -> Endpoint:
        """The endpoint as one of so many processes may use it.

        Raises:
            ConfigError: the address is none, or holds a password.
        """
        given = self.model_dump(exclude={"price_prompt", "price_completion"})
        limits = ("requests_a_minute", "tokens_a_minute")
        given |= {name: given[name] / processes for name in limits if given[name] is not None}
        return Endpoint(**given, prices=Prices(prompt=self.price_prompt, completion=self.price_completion))


class EngineConfig(BaseModel):
    """What improves a node's policy in place of the loop in this process; see `rewardtree.policies.training`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Engine
    method: Literal["rloo", "grpo"] = "rloo"
    command: tuple[str, ...] = Field((), description="starts Python in the engine's environment; this process if none")
    settings: tuple[str, ...] = Field((), description="more of the engine's own, in its own words")
    checkpoint: int = Field(20, ge=1, description="steps from one checkpoint to the next")
    host: str = Field("127.0.0.1", description="address at which the engine reaches the scorer")
    prompts: int = Field(16, ge=1, description="of a step; model_updates are the steps")
    samples: int = Field(4, ge=2, description="of a prompt")
    beta: float = Field(0.05, ge=0, description="nats of reward a nat of divergence")
    rate: float = Field(1e-4, gt=0, description="of the optimizer")

    def training(self, folder: Path, steps: int) -> Training:
        """How an engine trains, in folders within this one.

        Raises:
            ConfigError: where the engine has no such method, or needs to be told how it is started.
        """
        launch = Launch(command=self.command, settings=self.settings, checkpoint=self.checkpoint, host=self.host)
        how = Training(
            folder=folder, engine=self.engine, method=self.method, steps=steps, prompts=self.prompts,
            samples=self.samples, beta=self.beta, rate=self.rate, launch=launch if self.command else None,
        )  # fmt: skip
        checked(Texts(prompts=[""] * steps * self.prompts), lambda rows: np.zeros(len(rows)), how)
        if self.engine in APART:
            launched(how)
        return how


class RunConfig(BaseModel):
    """All that decides a run. Fields are the configuration's names everywhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str = "chip"
    preset: Literal["tiny", "quick", "full"] = "quick"
    seed: int = Field(0, ge=0, description="first seed")
    seeds: int = Field(1, ge=1, le=1000, description="number of seeds, from `seed` on")
    workers: int = Field(2, ge=1, description="seeds trained at a time, one process each")
    store: str | None = Field(None, description="database URL; an SQLite file a seed if not given")
    schedule: Literal["leaves_first", "interleaved"] = "leaves_first"
    selection: Literal["random", "disagreement"] = "random"
    candidates: int = Field(4, ge=1, description="proposals a label where selection is by disagreement")
    label_decay: float = Field(0.0, ge=0, description="fall of the rate of labels: 1 / (1 + label_decay * t), t to 1")
    helper_iterations: int = Field(3, ge=1)
    helper_labels: int = Field(600, ge=2, description="comparisons of each helper an iteration")
    root_iterations: int = Field(3, ge=1)
    root_labels: int = Field(300, ge=2, description="comparisons of the root an iteration")
    evaluator: Literal["simulated", "human", "mixed", "judge"] = Field(
        "simulated", description="who judges the nodes in people_nodes: people, or people and others; or a judge alone"
    )
    people_nodes: tuple[str, ...] = Field((), description="nodes that people judge; the root if none is named")
    people_share: float | None = Field(None, gt=0, le=1, description="of comparisons that people get; 1, or 0.5 mixed")
    people_overlap: int = Field(1, ge=1, le=100, description="people a comparison")
    people_enough: float = Field(1.0, ge=0, le=1, description="share of the answers that an iteration waits for")
    people_broken: float = Field(0.1, ge=0, le=1, description="share of them that it goes on without if set aside")
    people_wait: float | None = Field(None, ge=0, description="seconds that it waits at most; for ever if not given")
    people_ahead: int = Field(0, ge=0, description="iterations that training may be ahead of the answers")
    people_gold: float = Field(0.1, ge=0, le=10, description="comparisons with a known answer, for each other one")
    people_repeats: float = Field(0.05, ge=0, le=1, description="comparisons that the same person gets again")
    people_mode: Literal["assisted", "unaided", "revise", "randomised"] = "assisted"
    people_view: Literal["places", "evidence", "verdicts"] = "evidence"
    endpoints: dict[str, EndpointConfig] = Field(default_factory=dict, description="language models by names of yours")
    models: dict[str, str] = Field(default_factory=dict, description="language models at nodes: by node, one's name")
    model_updates: int = Field(20, ge=1, description="of a language model that is a node's policy, an iteration")
    rewards: dict[str, str] = Field(
        default_factory=dict, description="language models with heads as nodes' reward models: by node, one's name"
    )
    engines: dict[str, EngineConfig] = Field(
        default_factory=dict, description="what improves nodes that write: by node"
    )
    judge_model: str | None = Field(None, description="the language model that judges where people don't")
    judge_nodes: tuple[str, ...] = Field((), description="nodes that it judges; the root if none is named")
    judge_share: float = Field(1.0, gt=0, le=1, description="of these comparisons; simulated evaluators get the others")
    judge_view: Literal["places", "evidence", "verdicts"] = "evidence"
    judge_calibration: int = Field(32, ge=0, description="comparisons with a known answer that fit its temperature")
    judge_pairs: int = Field(64, ge=0, description="test pairs on which it is measured; 0 for none")
    judge_tokens: int = Field(400, ge=1, description="of an answer at most")
    judge_answers: str | None = Field(None, description="folder of endpoints' answers; one in the run's if not given")
    budget: int = Field(2, ge=0, description="readings a comparison")
    attention: int = Field(12, ge=0, description="claims a comparison")
    rationality: float = Field(5.0, gt=0, description="nats for a difference of one usual spread")
    lapse: float = Field(0.02, ge=0, le=1, description="share of blind answers")
    position_bias: float = Field(0.0, description="nats in favour of the first")
    updates: int = Field(80, ge=1, description="of the root's policy an iteration")
    helper_updates: int = Field(120, ge=1, description="of each helper's policy an iteration")
    options: dict[str, Any] = Field(default_factory=dict, description="the domain's own")
    search: float = Field(1.0, gt=0, description="effort of the search for the ceiling")
    test_pairs: int = Field(1200, ge=8, description="of every node")
    test_inputs: int = Field(256, ge=8, description="on which every policy is judged")

    def to_show(self) -> dict[str, Any]:
        """All fields as a report may tell them: without the database's password."""
        endpoints = {name: one.model_dump(exclude_defaults=True) for name, one in self.endpoints.items()}
        store = without_password(self.store) if self.store else self.store
        return self.model_dump() | {"store": store, "endpoints": endpoints}

    @property
    def asks_people(self) -> bool:
        """Whether people judge anything."""
        return self.evaluator in ("human", "mixed")

    def model(self, name: str, where: str, out: Path | None = None) -> ModelRef | Complete:
        """A language model by its name: where it is, or whoever completes prompts for it.

        Args:
            name: see `rewardtree.language.named`.
            where: the name's own name in the configuration, for errors.
            out: folder of a seed, in which an endpoint's answers are kept and its costs noted; None for neither.

        Raises:
            ConfigError: where it means nothing.
            LanguageError: where a seed is to ask an endpoint whose key is missing.
        """
        processes = min(self.workers, self.seeds)
        found = named(name, {key: one.endpoint(processes) for key, one in self.endpoints.items()}, where=where)
        if isinstance(found, ModelRef):
            return found
        if out is None:
            return lambda prompts, options: asking(found)(prompts, options)
        kept = Path(self.judge_answers) if self.judge_answers else out.parent / ANSWERS
        return asking(found, kept=Kept(kept), spent=out / SPENT)

    def network(self, name: str, where: str) -> ModelRef:
        """A language model whose states can be read; arguments and errors are those of `model`."""
        found = self.model(name, where)
        if not isinstance(found, ModelRef):
            raise ConfigError(f"{where} = {name!r} is an endpoint, which gives words and no states; name a model in "
                              "this process")  # fmt: skip
        return found

    def settings(self, seed: int, out: Path | None = None) -> Settings:
        """What one seed's tree is built from.

        Args:
            seed: this one.
            out: its folder, where nodes may ask endpoints; see `model`.
        """
        spare = self.candidates if self.selection == "disagreement" else 1
        return Settings(
            seed=seed,
            helper=Budget(
                iterations=self.helper_iterations, labels=self.helper_labels, candidates=spare, decay=self.label_decay
            ),
            root=Budget(
                iterations=self.root_iterations, labels=self.root_labels, candidates=spare, decay=self.label_decay
            ),
            bounds=Bounds(
                budget=self.budget,
                attention=self.attention,
                rationality=self.rationality,
                lapse=self.lapse,
                position_bias=self.position_bias,
            ),
            selection=self.selection,
            helper_updates=self.helper_updates,
            updates=self.updates,
            interleaved=self.schedule == "interleaved",
            options=self.options,
            models={node: self.model(name, f"models.{node}", out) for node, name in self.models.items()},
            model_updates=self.model_updates,
            rewards={node: self.network(name, f"rewards.{node}") for node, name in self.rewards.items()},
            engines={
                node: one.training((out or Path()) / ENGINES, self.model_updates) for node, one in self.engines.items()
            },
        )

    def people(self, root: Callable[[], str], waiting: Callable[[str, Waiting], None]) -> People | None:
        """How people take part in recursive reward modelling, if they do.

        Args:
            root: gives the name of the tree's root; asked where no node is named.
            waiting: told how far they are with the answers that an iteration waits for.
        """
        if not self.asks_people:
            return None
        usual = 1.0 if self.evaluator == "human" else 0.5
        return People(
            nodes=frozenset(self.people_nodes or (root(),)),
            share=usual if self.people_share is None else self.people_share,
            overlap=self.people_overlap,
            enough=self.people_enough,
            broken=self.people_broken,
            wait=self.people_wait,
            ahead=self.people_ahead,
            gold=self.people_gold,
            repeats=self.people_repeats,
            mode=self.people_mode,
            view=self.people_view,
            waiting=waiting,
        )


def parse(given: Mapping[str, Any]) -> RunConfig:
    """Check a configuration; a preset's values come under those given.

    Raises:
        ConfigError: naming every wrong value at once, and the nearest known name for an unknown one; or where the
            domain is not installed.
    """
    preset = given.get("preset", RunConfig.model_fields["preset"].default)
    if preset not in PRESETS:
        raise ConfigError(f"there is no preset {preset!r}; choose among {', '.join(PRESETS)}")
    try:
        domain = find_domain(str(given.get("domain", RunConfig.model_fields["domain"].default)))
        return with_models(RunConfig(**{**PRESETS[preset], **domain.presets.get(preset, {}), **given}), domain)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(p, RunConfig.model_fields) for p in error.errors())) from error


def with_models(config: RunConfig, domain: Domain) -> RunConfig:
    """The configuration, if it names a model where it has a judge, models that can be, and nodes that can have one.

    Raises:
        ConfigError: where it does not.
    """
    if config.evaluator == "judge" and config.judge_model is None:
        raise ConfigError("evaluator = judge needs a language model; name one as judge_model")
    if config.judge_model is not None and config.evaluator == "simulated":
        raise ConfigError("judge_model is named, but evaluator = simulated asks none; set evaluator to judge or mixed")
    able = {"read words": (*domain.readers, *domain.writers), "write": domain.writers}
    wanted = (("models", config.models, "read words"), ("rewards", config.rewards, "read words"),
              ("engines", config.engines, "write"))  # fmt: skip
    for where, nodes, what in wanted:
        for node in nodes:
            if node not in able[what]:
                does = f"those that do are {', '.join(able[what])}" if able[what] else "no node of it does"
                raise ConfigError(f"{where}.{node}: this is no node of {domain.name} that can {what}; {does}")
    for node, name in config.models.items():
        config.model(name, f"models.{node}")
    for node, name in config.rewards.items():
        config.network(name, f"rewards.{node}")
    for node, engine in config.engines.items():
        try:
            engine.training(Path(), config.model_updates)
        except ConfigError as error:
            raise ConfigError(f"engines.{node}: {error}") from error
    for one in config.endpoints.values():
        one.endpoint()
    if config.judge_model is not None:
        config.model(config.judge_model, "judge_model")
    return config


def explain(problem: Any, fields: Mapping[str, Any]) -> str:
    """A problem that pydantic found, in words; with the nearest of the known fields where one is unknown."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, fields, n=1)
        return f"unknown key {name!r}" + (
            f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(fields)}"
        )
    return f"{name} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of configuration.

    Raises:
        ConfigError: where the file is missing, is not YAML, or does not hold names and values.
    """
    try:
        found = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{path} must hold names and values, as in 'seeds: 5'")
    return found
