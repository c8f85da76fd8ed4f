"""YAML as people write it: 3e-4 is a number, as in YAML 1.2 and in JSON; PyYAML alone, which reads 1.1, has text."""

import re
from typing import Any

import yaml

FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    """Plain values, no objects."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def read_yaml(text: str) -> Any:
    """What the text says.

    Raises:
        yaml.YAMLError: where it is not YAML.
    """
    return yaml.load(text, Loader=_Loader)
