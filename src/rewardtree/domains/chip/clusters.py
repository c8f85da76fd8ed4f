"""From gates to blocks: cluster a circuit with METIS and bundle the nets between the clusters.

METIS is Karypis & Kumar (1998, "A fast and high quality multilevel scheme for partitioning irregular graphs",
SIAM J. Scientific Computing 20), in the PyPI package `pymetis`. It is needed to derive blocks from circuits
only, not to use the netlists that ship with the package.
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from rewardtree.domains.chip.gatelevel import Circuit
from rewardtree.domains.chip.generate import MAX_PINS
from rewardtree.errors import ConfigError, TaskError

CELLS_A_BLOCK = 10
"""Fewest cells a block, on average."""
SIZE_SPREAD = 0.5
"""Standard deviation of the logarithm of the block areas that METIS is asked for (assumed)."""
_FEWEST_CELLS = 3
"""Fewest cells of any one block."""
_TRIES = 20
_PIN_WEIGHT = 12
"""Weight of a net's edges together; an edge has at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """Wires that join the same blocks: the blocks in ascending order, and their summed changes a cycle."""

    blocks: tuple[int, ...]
    activity: float


def partition(
    circuit: Circuit, area: Float[np.ndarray, " signals"], blocks: int, rng: np.random.Generator
) -> Int[np.ndarray, " signals"]:
    """Cluster the cells into blocks that few nets join.

    Args:
        circuit: the circuit.
        area: cell area of each signal's driver.
        blocks: number of blocks.
        rng: draws the areas that the blocks are to have, log-normal with `SIZE_SPREAD`.

    Returns:
        Each cell's block, -1 for inputs and constants.

    Raises:
        ConfigError: where `pymetis` is not installed.
        TaskError: where the circuit has fewer than `CELLS_A_BLOCK` cells a block, or METIS leaves a block
            empty.
    """
    try:
        metis = import_module("pymetis")
    except ImportError as error:
        raise ConfigError("clustering circuits needs METIS: pip install pymetis==2025.2.2") from error
    cells = np.flatnonzero(circuit.is_cell)
    if len(cells) < CELLS_A_BLOCK * blocks:
        raise TaskError(f"{circuit.name} has {len(cells)} cells; cluster it into {len(cells) // CELLS_A_BLOCK} at most")
    graph = _graph(circuit, cells)
    share = np.exp(SIZE_SPREAD * rng.standard_normal(blocks))
    for attempt in range(_TRIES):
        _, part = metis.part_graph(
            blocks,
            metis.CSRAdjacency(adj_starts=graph.indptr, adjacent=graph.indices),
            eweights=graph.data,
            vweights=np.round(100 * area[cells]).astype(np.int64),
            tpwgts=(share / share.sum()).tolist(),
            recursive=attempt % 2 == 1,
            options=metis.Options(seed=attempt, ncuts=4),
        )
        if np.bincount(part, minlength=blocks).min() >= _FEWEST_CELLS:
            block = np.full(len(circuit.kind), -1)
            block[cells] = part
            return block
    raise TaskError(
        f"{circuit.name} cannot be cut into {blocks} blocks of {_FEWEST_CELLS} cells or more; ask for fewer"
    )


def _graph(circuit: Circuit, cells: Int[np.ndarray, " cells"]) -> sparse.csr_array:
    """Edges from each net's first cell, its driver or a reader of an input, to its other ones."""
    number = np.full(len(circuit.kind), -1)
    number[cells] = np.arange(len(cells))
    reader = np.repeat(np.arange(len(circuit.kind)), np.diff(circuit.start))
    first = np.full(len(circuit.kind), -1)
    first[circuit.fanin[::-1]] = reader[::-1]
    first[cells] = cells
    ends = number[first[circuit.fanin]], number[reader]
    readers = np.bincount(circuit.fanin, minlength=len(circuit.kind))
    weight = np.maximum(1, _PIN_WEIGHT // readers[circuit.fanin])
    graph = sparse.coo_array((weight, ends), shape=(len(cells), len(cells))).tocsr()
    graph = sparse.csr_array(graph + graph.T)
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def bundle(circuit: Circuit, block: Int[np.ndarray, " signals"], rates: Float[np.ndarray, " signals"]) -> list[Bundle]:
    """Bundle the nets between blocks, the most active bundle first.

    A net that joins more than `MAX_PINS` blocks is taken apart into wires of two pins from its driver's block
    to each other one; that of an input, which has no driver, starts at the block that reads it most.

    Args:
        circuit: the circuit.
        block: each cell's block, -1 for inputs and constants.
        rates: changes a cycle of each signal.

    Returns:
        Bundles of activity above zero.
    """
    count = int(block.max()) + 1
    reader = np.repeat(np.arange(len(block)), np.diff(circuit.start))
    cells = np.flatnonzero(circuit.is_cell)
    pins = np.concatenate([circuit.fanin * count + block[reader], cells * count + block[cells]])
    pair, times = np.unique(pins, return_counts=True)
    signal, joined = pair // count, pair % count
    start = np.searchsorted(signal, np.arange(len(block) + 1))
    activity: dict[tuple[int, ...], float] = {}
    for net in np.flatnonzero((np.diff(start) > 1) & (rates > 0)):
        here = slice(start[net], start[net + 1])
        blocks = tuple(joined[here].tolist())
        if len(blocks) <= MAX_PINS:
            wires = [blocks]
        else:
            hub = int(block[net]) if block[net] >= 0 else blocks[int(np.argmax(times[here]))]
            wires = [(min(hub, other), max(hub, other)) for other in blocks if other != hub]
        for wire in wires:
            activity[wire] = activity.get(wire, 0.0) + float(rates[net])
    order = sorted(activity, key=lambda wire: (-activity[wire], wire))
    return [Bundle(blocks=wire, activity=activity[wire]) for wire in order]
