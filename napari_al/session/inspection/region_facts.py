"""The region at a pixel in one round: score, probabilities, neighbours, answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.acquisition import bvsb
from napari_al.core.geometry.adjacency import adjacency
from napari_al.core.geometry.masks import Mask
from napari_al.core.merging import js_distance
from napari_al.core.regions import RegionTable, merge_rows
from napari_al.errors import InputError
from napari_al.methods.queries import Region
from napari_al.session.inspection.inspection import NotThereError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_al.core.sieving import ConfidenceCurve
    from napari_al.methods.queries import Answer, AutomaticCorrection
    from napari_al.session.inspection.inspection import Missing
    from napari_al.session.inspection.overlays import RoundImage
    from napari_al.session.rounds.region_tables import Table


@dataclass(frozen=True)
class Neighbour:
    """A base region that touches the one at the pixel.

    ``distance``: Jensen-Shannon, of their mean probabilities; ``is_joined``: both were asked as
    one; ``pixel_rc``: somewhere in it.
    """

    region_id: int
    distance: float
    is_joined: bool
    dominant: int
    pixel_rc: tuple[int, int]


@dataclass(frozen=True)
class ModelView:
    """The region by the model that scored it.

    Attributes
    ----------
    model_round : int
    probs : (C,) float64
        Mean class probabilities.
    bvsb : float
        Mean over the pixels; for corrections, whose pixels' are not kept, that of ``probs``.
    bvsb_of_mean : bool
        Which of the two.
    distance_to_seed : float
        Of the base region at the pixel to the one that its merged region grew from.
    neighbours : tuple of Neighbour
        The nearest first.
    """

    model_round: int
    probs: NDArray[np.float64]
    bvsb: float
    bvsb_of_mean: bool
    distance_to_seed: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class RegionFacts:
    """The region at a pixel.

    Attributes
    ----------
    region : Region
        As it was asked, or would have been.
    base_id : int
        The base region at the pixel.
    score, place, n_pool : float, int, int
        Acquisition score, its place among those of the pool (1 = the first), and how many there
        are; None where it has none.
    view : ModelView or None
    curve : ConfidenceCurve or None
        By which the region's newest answer was sieved.
    answers : tuple of Answer
        Those about the pixel that are in force now, over all rounds, oldest first.
    corrections : tuple of AutomaticCorrection
        Those of it accepted up to the round, oldest first.
    notes : tuple of str
        Why something above is not there.
    missing : tuple of Missing
        What can be made again.
    """

    region: Region
    base_id: int
    score: float | None
    place: int | None
    n_pool: int
    view: ModelView | None
    curve: ConfidenceCurve | None
    answers: tuple[Answer, ...]
    corrections: tuple[AutomaticCorrection, ...]
    notes: tuple[str, ...]
    missing: tuple[Missing, ...]


def region_facts(shown: RoundImage, pixel_rc: tuple[int, int]) -> RegionFacts:
    """Return what is known of the region at a (row, column) of an image.

    Raises
    ------
    InputError
        If there is no region.
    """
    base = shown.inspection.maps(shown.image)
    inside = all(0 <= at < length for at, length in zip(pixel_rc, base.shape, strict=True))
    base_id = int(base[pixel_rc]) if inside else -1
    if base_id < 0:
        raise InputError("there is no region here")
    lost: list[NotThereError] = []
    scored = _score(shown, base_id, lost)
    ids = scored.ids if scored is not None else (base_id,)
    curve = _curve(shown, pixel_rc, lost)
    return RegionFacts(
        region=Region(shown.image, ids, shown.inspection.maps.mask(shown.image, ids)),
        base_id=base_id,
        score=None if scored is None else scored.score,
        place=None if scored is None else scored.place,
        n_pool=0 if scored is None else scored.n_pool,
        view=_view(shown, base, base_id, ids, -1 if scored is None else scored.seed, lost),
        curve=curve,
        answers=tuple(shown.inspection.history(shown.image, pixel_rc)),
        corrections=tuple(
            c
            for c in shown.record.after.corrections.get(shown.image, ())
            if c.region.mask.holds(pixel_rc)
        ),
        notes=tuple(dict.fromkeys(str(error) for error in lost)),
        missing=tuple(dict.fromkeys(e.missing for e in lost if e.missing is not None)),
    )


@dataclass(frozen=True)
class _Scored:
    """A row of the pool's scores."""

    ids: tuple[int, ...]
    seed: int
    score: float
    place: int
    n_pool: int


def _score(shown: RoundImage, base_id: int, lost: list[NotThereError]) -> _Scored | None:
    try:
        scores = shown.inspection.scores(shown.record.asked_by)
    except NotThereError as error:
        lost.append(error)
        return None
    if shown.image not in scores.images:
        return None
    index = scores.images.index(shown.image)
    groups, rows = scores.groups_of(index), scores.rows_of(index)
    seed = base_id if groups is None else int(groups[base_id])
    found = np.flatnonzero(scores.region_id[rows] == seed)
    if not found.size:
        return None
    row = rows.start + int(found[0])
    score = float(scores.score[row])
    place = 1 + int((scores.score > score).sum())
    return _Scored(scores.base_ids(row), seed, score, place, len(scores))


def _view(
    shown: RoundImage,
    base: NDArray[np.int32],
    base_id: int,
    ids: tuple[int, ...],
    seed: int,
    lost: list[NotThereError],
) -> ModelView | None:
    asked_by, inspection = shown.record.asked_by, shown.inspection
    if not inspection.has_model(asked_by):
        lost.append(NotThereError(f"round {shown.record.number} was asked without a model"))
        return None
    try:
        table = inspection.table(asked_by, shown.image)
    except NotThereError as error:
        lost.append(error)
        return None
    f = table.mean_probs.astype(np.float64)
    if isinstance(table, RegionTable):
        row = merge_rows(table, np.where(np.isin(np.arange(len(table)), ids), 0, 1))
        probs, ratio = row.mean_probs[0].astype(np.float64), float(row.mean_bvsb[0])
    else:
        probs = f[base_id]
        ratio = float(bvsb(probs))
    return ModelView(
        model_round=asked_by,
        probs=probs,
        bvsb=ratio,
        bvsb_of_mean=not isinstance(table, RegionTable),
        distance_to_seed=float(js_distance(f[base_id], f[seed])) if seed >= 0 else 0.0,
        neighbours=_neighbours(table, base, base_id, ids),
    )


def _neighbours(
    table: Table, base: NDArray[np.int32], base_id: int, ids: tuple[int, ...]
) -> tuple[Neighbour, ...]:
    edges = adjacency(base)
    touching = edges[(edges == base_id).any(axis=1)].sum(axis=1) - base_id
    distances = js_distance(table.mean_probs[base_id], table.mean_probs[touching])
    found = []
    for position in np.argsort(distances, kind="stable").tolist():
        region_id = int(touching[position])
        mask = Mask.from_array(base == region_id)
        found.append(
            Neighbour(
                region_id,
                float(distances[position]),
                region_id in ids,
                int(table.dominant[region_id]),
                mask.central_pixel(),
            )
        )
    return tuple(found)


def _curve(
    shown: RoundImage, pixel_rc: tuple[int, int], lost: list[NotThereError]
) -> ConfidenceCurve | None:
    """Return the curve of the newest answer about a pixel, where answers were sieved."""
    record, inspection = shown.record, shown.inspection
    sieves = inspection.config.method.targets == "sieve" and record.is_done
    if not sieves or not inspection.has_model(record.asked_by):
        return None
    newest = next(
        (
            answer
            for answer in reversed(record.after.answers.get(shown.image, ()))
            if answer.outcome == "labelled" and answer.query.region.mask.holds(pixel_rc)
        ),
        None,
    )
    if newest is None:
        return None
    try:
        return inspection.curves(record.number, shown.image).get(newest.id)
    except NotThereError as error:
        lost.append(error)
        return None
