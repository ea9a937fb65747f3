"""Which regions touch, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def adjacency(
    region_map: NDArray[np.integer[Any]], connectivity: Literal[4, 8] = 4
) -> NDArray[np.int32]:
    """Pairs of regions with neighbouring pixels: the edges of Kim et al. 2023, Algorithm 2.

    Parameters
    ----------
    region_map : (H, W) int
        Region ids; a pixel with a negative id belongs to no region and touches none.
    connectivity : 4 or 8
        Whether pixels that share only a corner are neighbours.

    Returns
    -------
    (E, 2) int32
        Each pair once, the lower id first, in ascending order.

    Examples
    --------
    >>> adjacency(np.array([[0, 1], [2, 0]])).tolist()
    [[0, 1], [0, 2]]
    """
    if region_map.ndim != 2:
        raise InputError(
            f"adjacency: a region map (H, W) was expected, got an array of {region_map.shape}"
        )
    neighbours = [
        (region_map[:, :-1], region_map[:, 1:]),
        (region_map[:-1], region_map[1:]),
    ]
    if connectivity == 8:
        neighbours += [
            (region_map[:-1, :-1], region_map[1:, 1:]),
            (region_map[:-1, 1:], region_map[1:, :-1]),
        ]
    keys = np.unique(np.concatenate([_keys(a, b) for a, b in neighbours]))
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1).astype(np.int32)


def borders(region_map: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Return 1 where a pixel's right or lower neighbour is of another region: (H, W) uint8.

    >>> borders(np.array([[0, 0, 1]])).tolist()
    [[0, 1, 0]]
    """
    out = np.zeros(region_map.shape, np.uint8)
    out[:, :-1] |= region_map[:, :-1] != region_map[:, 1:]
    out[:-1] |= region_map[:-1] != region_map[1:]
    return out


def _keys(a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """One number for each pair of different regions: the lower id in the upper half."""
    differ = a != b
    a, b = a[differ].astype(np.int64), b[differ].astype(np.int64)
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    keys: NDArray[np.int64] = (np.minimum(a, b) << 32) | np.maximum(a, b)
    return keys
