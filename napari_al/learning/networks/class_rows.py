"""Adapt a trained segmenter to classes that were added or merged after its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_al.learning.segmenter import Segmenter


def fit_classes(segmenter: Segmenter, n_classes: int, merged: Mapping[int, int]) -> None:
    """Change a segmenter's number of classes in place; weights of the other classes stay.

    Parameters
    ----------
    segmenter : Segmenter
    n_classes : int
        More than it has: each new class gets a row of weights of the size of those that are there,
        always the same one, and their mean bias; none is predicted before it has been trained on
        (``n_known``). Fewer: the last rows go.
    merged : mapping of int to int
        Classes, and what their probability counts for from now on.
    """
    segmenter.merged = dict(merged)
    if n_classes == segmenter.n_classes:
        return
    generator = torch.Generator().manual_seed(n_classes)
    for module in segmenter.classifier.modules():  # one, or those of an ensemble's members
        for name, rows in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(_fitted(rows, n_classes, generator)))
    segmenter.n_known = min(segmenter.n_known, n_classes)
    segmenter.n_classes = n_classes


def _fitted(rows: Tensor, n_classes: int, generator: torch.Generator) -> Tensor:
    kept = rows.detach()[:n_classes]
    shape = (n_classes - len(kept), *kept.shape[1:])
    fresh = torch.randn(shape, generator=generator) * kept.std(correction=0)
    return torch.cat([kept, kept.mean().expand(shape) if kept.ndim == 1 else fresh])
