"""Shortest path: how many edges lead from s to t?

Christiano et al. 2018 (arXiv 1810.08575), section 3 and appendix: given a directed graph of 64 vertices and 128 edges,
find the distance from s to t. A fact is where one edge out of a vertex leads. A question of level d is a vertex s; the
answer is its distance from the world's target t where that is at most d, or "more". It falls into "where do s's edges
lead?" and the questions of level d - 1 about the vertices that they lead to: one more than the least distance of these.

Departures: one target a world. Three edges a vertex instead of two, and vertices stand in layers around the target,
from distance 1 to one beyond what is told: one edge leads a layer closer, and the others lead to other vertices of the
same layer, so that only one walk of length d leads to the target from distance d, and layers look alike where walks do
not meet the target. They do so best where they are of equal size: where depth + 1 divides size - 1. Questions of level
d are about vertices at distance d or beyond, and the wrong answer is the other one of these two.

A walk of two readings that meets the target proves distance 2. With k edges a vertex one walk of k^2 does so, which no
choice of instances can prevent; hence k = 3. At level 2, k^2 questions are about vertices at distance 2 for each
k^2 - 1 about vertices beyond, so that a walk that misses the target leaves both answers equally likely. The best
unaided accuracy there is then k^2 / (2 k^2 - 1), 0.53, or 0.57 for k = 2, and little more for what can be made of the
number of edges that lead to a vertex, and of ways back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.algorithms.powering import READINGS
from rewardtree.errors import TaskError
from rewardtree.tasks.decomposition import Names, Questions, Worlds
from rewardtree.tasks.plain_boards import Stretch, apart

ASKED = 3
"""Vertices of a world that each level above 0 asks about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """See the module's docstring. Names are the distances 0 to depth, "more", and then the vertices.

    Question i of level 0 is edge i % degree of vertex i // degree; the questions of other levels follow, a vertex each.

    Attributes:
        depth: the highest level, and the longest distance that is told.
        size: vertices.
        degree: edges out of a vertex.
        room: vertices that names leave room for, so that one network serves all sizes; 0 for no more than there are.
    """

    depth: int = 3
    size: int = 13
    degree: int = 3
    room: int = 0

    def __post_init__(self) -> None:
        if self.depth < 0 or self.degree < 2 or self.size < self._least():
            raise TaskError(
                f"shortest paths need a depth from 0 on, 2 edges a vertex and 1 + degree * (depth + 1) vertices, not "
                f"{self.depth}, {self.degree} and {self.size}"
            )
        if self.room and self.room < self.size:
            raise TaskError(f"there is no room for {self.size} vertices among {self.room} names; leave room out")

    @property
    def name(self) -> str:
        """Of the family."""
        return "paths"

    @property
    def more(self) -> int:
        """The name of distances beyond what is told."""
        return self.depth + 1

    @property
    def first(self) -> int:
        """The name of vertex 0."""
        return self.depth + 2

    @property
    def names(self) -> int:
        """Distances and vertices."""
        return self.first + (self.room or self.size)

    @property
    def edges(self) -> int:
        """Of all vertices."""
        return self.size * self.degree

    @property
    def vocabulary(self) -> int:
        """Names, the numbers of a vertex's edges, target or not, and one for nothing."""
        return self.names + self.degree + 3

    def _least(self) -> int:
        """Vertices with which every layer has as many as a vertex has edges."""
        return 1 + self.degree * (self.depth + 1)

    def sizes(self) -> tuple[int, ...]:
        """From the smallest graphs that there can be, in steps that leave layers equal; its own at last."""
        return (*range(self._least(), self.size, self.depth + 1), self.size)

    def sized(self, size: int) -> "Paths":
        """The same with fewer vertices, under the same names."""
        return replace(self, size=size, room=self.room or self.size)

    def share(self, level: int) -> float:
        """Of questions that are about vertices at just this distance; see the module's docstring."""
        met = self.degree**-level if level == READINGS else 0.0
        return 1 / (2 - met)

    def draw(self, rng: np.random.Generator, count: int) -> Worlds:
        """Graphs in which as many vertices as can be stand in each layer."""
        rows, order = np.arange(count)[:, None], rng.random((count, self.size)).argsort(axis=1)
        layer = np.concatenate([[0], 1 + np.arange(self.size - 1) % (self.depth + 1)])
        leads = np.empty((count, self.size, self.degree), dtype=np.int64)
        for vertex in range(self.size):
            closer = np.flatnonzero(layer == layer[vertex] - 1)
            same = (layer == layer[vertex]) if len(closer) else layer > 0
            others = np.flatnonzero(same & (np.arange(self.size) != vertex))
            ahead = closer[_few(rng, count, len(closer), 1)]
            beside = others[_few(rng, count, len(others), self.degree - ahead.shape[1])]
            leads[:, vertex] = np.concatenate([ahead, beside], axis=1)
        leads = rng.permuted(leads, axis=2)
        graph = np.empty_like(leads)
        graph[rows, order] = order[rows[:, :, None], leads]
        hidden = np.zeros((count, self.depth + 1, self.size), dtype=np.int64)
        for level in range(1, self.depth + 1):
            hidden[rows, level, order[rows, self._asked(rng, count, layer, level)]] = 1
        target, facts = order[:, :1], self.first + graph.reshape(count, self.edges)
        return Worlds(tokens=self._tokens(facts, target), facts=facts, public=target, hidden=hidden)

    def _asked(
        self, rng: np.random.Generator, count: int, layer: Int[np.ndarray, " vertices"], level: int
    ) -> Int[np.ndarray, "worlds asked"]:
        """Where vertices stand that a level asks about, each at the level's distance or beyond."""
        near, far = np.flatnonzero(layer == level), np.flatnonzero(layer > level)
        close = rng.random((count, ASKED)) < self.share(level)
        return np.where(close, near[:ASKED], far[_few(rng, count, len(far), ASKED)])

    def _tokens(
        self, facts: Int[np.ndarray, "worlds places"], target: Int[np.ndarray, "worlds 1"]
    ) -> Int[np.ndarray, "worlds tokens columns"]:
        """An edge tells its vertex, its number and where it leads; a vertex itself, whether it is t, and its edges."""
        tokens = np.full((len(facts), self.edges + self.size, 2 + self.degree), self.vocabulary - 1)
        source, number = np.divmod(np.arange(self.edges), self.degree)
        tokens[:, : self.edges, 0] = self.first + source
        tokens[:, : self.edges, 1] = self.names + number
        tokens[:, : self.edges, 2] = facts
        tokens[:, self.edges :, 0] = self.first + np.arange(self.size)
        tokens[:, self.edges :, 1] = np.where(np.arange(self.size) == target, self.vocabulary - 2, self.vocabulary - 3)
        tokens[:, self.edges :, 2:] = facts.reshape(len(facts), self.size, self.degree)
        return tokens

    def askable(self, worlds: Worlds, level: int) -> Bool[np.ndarray, "worlds tokens"]:
        """Edges at level 0, above it vertices at that distance and beyond."""
        found = np.zeros(worlds.tokens.shape[:2], dtype=bool)
        if level == 0:
            found[:, : self.edges] = True
        else:
            found[:, self.edges :] = worlds.hidden[:, level] == 1
        return found

    def allowed(self, level: int) -> Bool[np.ndarray, " names"]:
        """Vertices at level 0, above it distances up to the level, and "more"."""
        name = np.arange(self.names)
        vertex = (name >= self.first) & (name < self.first + self.size)
        found: Bool[np.ndarray, " names"] = (name <= level) | (name == self.more) if level else vertex
        return found

    def parts(self, level: int) -> tuple[int, ...]:
        """The edges, and above level 1 the vertices that they lead to."""
        if level == 0:
            return ()
        return (0,) * self.degree + (level - 1,) * (self.degree if level > 1 else 0)

    def part(self, level: int, number: int, asked: Questions, said: Sequence[Names]) -> Names:
        """An edge of s, or the vertex that one is said to lead to; a name that is no vertex leads back to s."""
        if number < self.degree:
            edge: Names = np.maximum(asked.asked - self.edges, 0) * self.degree + number
            return edge
        return self._vertex(said[number - self.degree], asked)

    def _vertex(self, name: Names, asked: Questions) -> Names:
        """The vertex that a name stands for, as a question; s again where it stands for none."""
        led = name - self.first
        return np.where((led >= 0) & (led < self.size), self.edges + led, asked.asked)

    def nameable(self, asked: Questions, said: Sequence[Names]) -> Int[np.ndarray, "batch nameable"]:
        """The question itself, the vertex's edges, and the vertices that these are said to lead to."""
        source = np.maximum(asked.asked - self.edges, 0)[:, None]
        edges = source * self.degree + np.arange(self.degree)
        vertices = [self._vertex(name, asked) for name in said[: self.degree]]
        return np.column_stack([asked.asked, edges, *vertices])

    def context(self, asked: Questions) -> Int[np.ndarray, "batch columns"]:
        """The names of s and t."""
        source = np.where(asked.asked < self.edges, asked.asked // self.degree, asked.asked - self.edges)
        return self.first + np.stack([source, asked.worlds.public[asked.row, 0]], axis=1)

    def conclude(self, level: int, context: Int[np.ndarray, "batch columns"], said: Sequence[Names]) -> Names:
        """0 at the target, one more than the least that is known of the next vertices, or "more"."""
        source, target = context[:, 0], context[:, 1]
        if level == 1:
            least = np.where((np.stack(said) == target).any(axis=0), 0, self.more)
        else:
            least = np.stack(said[self.degree :]).min(axis=0)
        return np.where(source == target, 0, np.where(least < level, least + 1, self.more))

    def decoys(self, rng: np.random.Generator, level: int, asked: Questions, truth: Names) -> Names:
        """The level's distance where the right answer is "more", and "more" elsewhere; at level 0 any other vertex."""
        if level:
            return np.where(truth == self.more, level, self.more)
        return self.first + (truth - self.first + 1 + rng.integers(self.size - 1, size=len(asked))) % self.size

    def links(self, asked: Questions, answer: Names) -> Float[np.ndarray, "batch links"]:
        """Whether the edge leads to the answer; whether an edge of s meets the target, for the answer 1 and others."""
        facts, edge = asked.worlds.facts, asked.asked < self.edges
        own = facts[asked.row, np.where(edge, asked.asked, 0)] == answer
        source, target = (self.context(asked)[:, column] for column in (0, 1))
        out = facts.reshape(len(facts), self.size, self.degree)[asked.row, source - self.first]
        meets = (out == target[:, None]).any(axis=1) & ~edge
        return np.stack([own & edge, meets & (answer == 1), meets & (answer != 1)], axis=1).astype(np.float32)

    def glances(self, level: int, asked: Questions) -> tuple[Names, ...]:
        """Above level 1 the edges of s."""
        return tuple(self.part(level, number, asked, ()) for number in range(self.degree)) if level > 1 else ()

    def hunch(
        self,
        level: int,
        context: Int[np.ndarray, "batch columns"],
        read: Sequence[Float[np.ndarray, " batch"]],
        answer: Names,
    ) -> Float[np.ndarray, "batch hunches"]:
        """Whether an edge that was read meets the target: for the answer 1, against any other."""
        if level < 2:
            return np.zeros((len(answer), 0))
        meets = (np.stack(list(read)) == context[:, 1]).any(axis=0)
        return np.stack([meets * np.where(answer == 1, 1.0, -1.0)], axis=1)

    def rules(self) -> str:
        """For people."""
        return (
            f"{self.degree} edges lead out of each of {self.size} vertices, each to another vertex, one way only. The "
            "distance to a vertex is the least number of edges that lead there."
        )

    def ask(self, level: int, place: int, asked: Questions, row: int) -> str:
        """For people."""
        if place < self.edges:
            vertex, number = divmod(place, self.degree)
            return f"Where does edge {number + 1} of vertex {vertex} lead?"
        target = int(asked.worlds.public[asked.row[row], 0])
        return f"How many edges is it from vertex {place - self.edges} to vertex {target} (0 to {level}, or more)?"

    def answer(self, name: int) -> str:
        """For people."""
        if name == self.more:
            return "more"
        return str(name) if name < self.first else f"to vertex {name - self.first}"

    def sheet(self, level: int, asked: Questions, row: int) -> Iterable[str | Stretch]:
        """For people: the edges of each vertex."""
        for vertex in range(self.size):
            yield ("\n" if vertex else "") + f"Vertex {vertex}: "
            edges = range(self.degree)
            yield from apart(
                (vertex * self.degree + i, f"edge {i + 1} of vertex {vertex}", f"edge {i + 1}") for i in edges
            )

    def readings(self, facts: Int[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        """For people: the vertices' numbers."""
        return (facts - self.first).astype(float)


def _few(rng: np.random.Generator, count: int, pool: int, wanted: int) -> Int[np.ndarray, "worlds wanted"]:
    """Different numbers below `pool`, as many as wanted."""
    found: Int[np.ndarray, "worlds wanted"] = rng.random((count, pool)).argsort(axis=1)[:, :wanted]
    return found
