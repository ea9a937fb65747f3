"""Few colours for many regions, so that neighbours can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def colour_regions(
    edges: NDArray[np.integer[Any]], n_regions: int, n_colours: int = 7
) -> NDArray[np.uint8]:
    """Give each region one of a few colours, different from its neighbours' where that is possible.

    Greedy, regions with many neighbours first (Welsh and Powell 1967): each gets the colour that
    the fewest of its neighbours have, the lowest of several.

    Parameters
    ----------
    edges : (E, 2) int
        Pairs of touching regions, as :func:`~napari_al.core.geometry.adjacency.adjacency` gives.
    n_regions : int
        R.
    n_colours : int
        Up to 256.

    Returns
    -------
    (R,) uint8
        From 0 to ``n_colours - 1``.

    Examples
    --------
    >>> colour_regions(np.array([[0, 1], [1, 2]]), 3).tolist()
    [1, 0, 1]
    """
    neighbours: list[list[int]] = [[] for _ in range(n_regions)]
    for a, b in edges.tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    colours = [-1] * n_regions
    for region in sorted(range(n_regions), key=lambda r: -len(neighbours[r])):
        n_near = [0] * n_colours
        for neighbour in neighbours[region]:
            if colours[neighbour] >= 0:
                n_near[colours[neighbour]] += 1
        colours[region] = n_near.index(min(n_near))
    return np.array(colours, np.uint8)
