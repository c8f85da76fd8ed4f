"""What the placer sees of a netlist: a record a block, and how strongly blocks are wired to each other."""

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.netlist import NetlistBatch

SPECTRAL = 4
"""Eigenvectors of the netlist's Laplacian by which blocks are told apart."""
FEATURES = 9 + 2 * SPECTRAL
_APART = 10.0
"""Moves padded blocks to the end of the spectrum, which ends at 2 for the others."""


def graph(
    lists: NetlistBatch,
) -> tuple[Float[np.ndarray, "batch blocks features"], Float[np.ndarray, "batch blocks blocks"]]:
    """Records and wiring, float32.

    A block's record: half its width and height in mm, its power density in W/mm^2, power and leakage in W, its
    tags, how strongly it is wired at all, and its entries in the eigenvectors of the normalised Laplacian that
    follow the first (von Luxburg, Statistics and Computing 17(4), 2007), with their magnitudes: eigenvectors
    have no sign, so the largest entry of each is made positive. A net of d pins wires every two of its blocks by
    activity / (d - 1).

    Returns:
        The records, zero for padded blocks, and each block's shares of its wiring by the other blocks.
    """
    used = lists.pins >= 0
    batch, nets, _ = lists.pins.shape
    blocks = lists.mask.shape[1]
    incidence = np.zeros((batch, nets, blocks))
    rows, columns, slots = np.nonzero(used)
    incidence[rows, columns, lists.pins[rows, columns, slots]] = 1.0
    weight = lists.activity / np.maximum(used.sum(axis=2) - 1, 1)
    wired = np.einsum("bnk,bn,bnl->bkl", incidence, weight, incidence, optimize=True)
    wired[:, np.arange(blocks), np.arange(blocks)] = 0.0
    strength = wired.sum(axis=2)
    vectors = _spectrum(lists, wired)
    density = np.where(lists.mask, lists.power / np.maximum(lists.width * lists.height, 1e-9), 0.0)
    size = [lists.width / 2, lists.height / 2, density, lists.power, lists.leakage * 5]
    record = np.stack([*size, lists.secret, lists.untrusted, lists.critical, strength * 8], axis=-1)
    features = np.concatenate([record, vectors, np.abs(vectors)], axis=-1) * lists.mask[..., None]
    spread = wired / np.maximum(strength, 1e-9)[..., None]
    return features.astype(np.float32), spread.astype(np.float32)


def _spectrum(
    lists: NetlistBatch, wired: Float[np.ndarray, "batch blocks blocks"]
) -> Float[np.ndarray, "batch blocks spectral"]:
    """Eigenvectors after the first, zero where a netlist has too few blocks."""
    blocks = wired.shape[1]
    scale = 1 / np.sqrt(np.maximum(wired.sum(axis=2), 1e-6))
    laplacian = np.eye(blocks) - scale[:, :, None] * wired * scale[:, None]
    laplacian += _APART * np.where(lists.mask[:, :, None] & lists.mask[:, None], 0.0, np.eye(blocks))
    found = np.linalg.eigh(laplacian)[1][..., 1 : 1 + SPECTRAL] * np.sqrt(lists.mask.sum(axis=1))[:, None, None]
    anchor = np.abs(found).argmax(axis=1)[:, None]
    vectors = np.zeros((*wired.shape[:2], SPECTRAL))
    vectors[..., : found.shape[-1]] = found * np.sign(np.take_along_axis(found, anchor, axis=1))
    return vectors
