"""Which runs of a store a key means."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.errors import NoRunError
from rewardtree.preferences.schema import run, runs_of

MOST_NAMED = 10


def numbered(key: str) -> sa.Select[tuple[int, str]]:
    """Asks for numbers and names of a project's runs."""
    return sa.select(run.c.seq, run.c.name).where(runs_of(key)).order_by(run.c.seq)


def runs_under(connection: Connection, where: str, key: str) -> dict[int, str]:
    """Numbers and names of a project's runs.

    Args:
        connection: to the store.
        where: how the store is called in messages.
        key: name of a run; runs whose names begin with it and a slash belong to it, as the seeds of a run do.

    Raises:
        NoRunError: there are none; names the keys that there are.
    """
    runs = {row.seq: str(row.name) for row in connection.execute(numbered(key))}
    if not runs:
        raise NoRunError(f"the store {where} has no run {key!r}; {_instead(connection)}")
    return runs


def _instead(connection: Connection) -> str:
    names = connection.execute(sa.select(run.c.name).order_by(run.c.seq.desc())).scalars()
    keys = list(dict.fromkeys(str(name).partition("/")[0] for name in names))
    if not keys:
        return "it holds none at all, so give another store"
    more = f" and {len(keys) - MOST_NAMED} older ones" if len(keys) > MOST_NAMED else ""
    return f"give one of its keys with --key: {', '.join(keys[:MOST_NAMED])}{more}"
