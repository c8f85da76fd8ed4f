"""One way to name language models in a configuration: what judges, and what stands at a node.

A name is, in this order, one of the configuration's endpoints; a folder with a model's files; a model that needs no hub
(`tiny`, `smollm2`); a name on the hub, such as `HuggingFaceTB/SmolLM2-135M-Instruct`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from rewardtree.errors import ConfigError
from rewardtree.language.embedded import EMBEDDED
from rewardtree.language.endpoint import Endpoint
from rewardtree.language.references import SMALL, LanguageModel, LoRA, ModelRef, adapted, load

Named: TypeAlias = ModelRef | Endpoint
ENCODERS = frozenset({"minilm"})
ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def named(name: str, endpoints: Mapping[str, Endpoint], *, where: str) -> Named:
    """What a name means; nothing is loaded or asked.

    Args:
        name: in the configuration.
        endpoints: of the configuration, by their names.
        where: the name's own name there, for errors.

    Raises:
        ConfigError: where it means nothing, or a model that writes no words.
    """
    if name in endpoints:
        return endpoints[name]
    if name in ENCODERS:
        raise ConfigError(f"{where} = {name!r} turns texts into vectors and writes no words; name a causal model")
    if name in EMBEDDED or Path(name).is_dir() or (ON_HUB.fullmatch(name) and not name.startswith(".")):
        return ModelRef(name=name)
    known = ", ".join(endpoints) or "none yet"
    raise ConfigError(
        f"{where} = {name!r} names no language model: it is none of the endpoints ({known}), no folder, none of "
        f"{', '.join(sorted(EMBEDDED - ENCODERS))}, and no name on the hub (OWNER/NAME); add an endpoint of that name "
        "with url and model, or mend the name"
    )


@lru_cache(maxsize=4)
def ready(ref: ModelRef) -> LanguageModel:
    """A model, loaded once a process for all who name it; where it is large, adapters are learnt and not all of it.

    Raises:
        LanguageError: as `load` does.
    """
    model = load(ref)
    return adapted(model, LoRA()) if model.parameters >= SMALL else model
