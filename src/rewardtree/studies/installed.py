"""What is installed: domains and protocols, which any package may offer by entry points."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rewardtree.errors import ConfigError
from rewardtree.protocols.scheme import Scheme
from rewardtree.tree.domain import Domain

DOMAINS, PROTOCOLS = "rewardtree.domains", "rewardtree.protocols"
"""Entry-point groups by which a package, this one too, offers domains and protocols."""


def installed(group: str) -> Mapping[str, EntryPoint]:
    """Names of what is installed in a group, each with its entry point."""
    return {point.name: point for point in entry_points(group=group)}


def find_domain(name: str) -> Domain:
    """Load a domain by name.

    Raises:
        ConfigError: where there is none of that name.
    """
    domain: Domain = _load(DOMAINS, name, "domain")
    return domain


def find_protocol(name: str) -> Scheme:
    """Load a protocol by name.

    Raises:
        ConfigError: where there is none of that name.
    """
    scheme: Scheme = _load(PROTOCOLS, name, "protocol")
    return scheme


def _load(group: str, name: str, kind: str) -> Any:
    known = installed(group)
    if name not in known:
        raise ConfigError(f"there is no {kind} {name!r}; installed are {', '.join(sorted(known)) or 'none'}")
    return known[name].load()
