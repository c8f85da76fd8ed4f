"""The domain as `rewardtree run continuation` finds it."""

from functools import partial
from pathlib import Path

from rewardtree.domains.continuation.nodes import continuation_tree
from rewardtree.domains.continuation.openings import Source
from rewardtree.domains.novels.books import default_folder, files_of
from rewardtree.errors import ConfigError
from rewardtree.language.encoding import Encoder
from rewardtree.language.named import ready
from rewardtree.language.references import ModelRef, load
from rewardtree.tree.domain import Domain, Settings
from rewardtree.tree.node import Tree

NODE = "continuation"
LEAST = {"words": 4, "tokens": 4}
"""Options that are numbers, and what each is at least."""
STYLES = ("plain", "chat")
MODEL = ModelRef(name="decoder")


def build(settings: Settings) -> Tree:
    """The tree of a folder of books and a language model.

    Raises:
        ConfigError: where an option is unknown or wrong, the folder holds too few books, or the model cannot learn.
        LanguageError: where the model cannot be had.
    """
    options, known = settings.options, ("books", "style", *LEAST)
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"the continuation domain knows the options {', '.join(known)}, not {', '.join(unknown)}")
    for name, least in LEAST.items():
        value = options.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"options.{name} = {value!r}: give a whole number, {least} or more")
    style = options.get("style", "plain")
    if style not in STYLES:
        raise ConfigError(f"options.style = {style!r}: give one of {', '.join(STYLES)}")
    folder = Path(options["books"]) if "books" in options else default_folder()
    files_of(folder)
    ref = settings.models.get(NODE, MODEL)
    if not isinstance(ref, ModelRef):
        raise ConfigError(f"models.{NODE} is an endpoint, whose weights are not ours to improve; name a model in this "
                          "process, or have an engine improve a larger one: engines")  # fmt: skip
    model = load(ref) if NODE in settings.engines else ready(ref)
    draws = partial(Source, folder=folder.absolute(), seed=settings.seed, words=options.get("words", 60))
    source = draws(tokens=options.get("tokens", 60), encoder=Encoder(model=model, style=style))
    return continuation_tree(source, settings)


JUDGED = {"evaluator": "judge", "judge_model": "smollm2", "root_iterations": 2, "root_labels": 150}
DOMAIN = Domain(
    name="continuation",
    summary="go on with a passage of a book; no true reward: a language model or people judge",
    nodes=(NODE,),
    build=build,
    writers=(NODE,),
    presets={
        "tiny": {"evaluator": "judge", "judge_model": "tiny", "models": {NODE: "tiny"}, "root_labels": 24,
                 "model_updates": 2, "judge_pairs": 8, "options": {"words": 20, "tokens": 12}},
        "quick": JUDGED,
        "full": JUDGED | {"root_iterations": 4, "root_labels": 300, "model_updates": 40},
    },
)  # fmt: skip
