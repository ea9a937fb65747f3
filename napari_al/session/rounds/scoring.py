"""Scoring a pool: one pass of a model over the images, of which one row a region is kept.

Beside each row stand the columns that the acquisition function reads: 4 bytes each, or 4 a class.
Images are scored in random order, the one on screen first; the scores do not depend on it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.correction import CorrectionTable
from napari_al.core.query_choice import multi_class_gains_more
from napari_al.core.regions import RegionTable, means_of_merged, merge_rows, region_means
from napari_al.errors import InputError
from napari_al.methods.acquisition import columns_to_score, needs_model
from napari_al.methods.pool_scores import pool_scores
from napari_al.methods.regions import merged_regions
from napari_al.session.pool.row_store import RowStore
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project import cache_files
from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import Results
from napari_al.session.rounds.job_function import Stopped
from napari_al.session.rounds.pool_columns import EncodedRegions, columns_without_model
from napari_al.session.rounds.region_tables import write_table
from napari_al.session.rounds.training import start_segmenter

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_al.session.log.snapshot import Snapshot
    from napari_al.session.rounds.job_context import JobContext
    from napari_al.session.rounds.job_function import Stage
    from napari_al.session.rounds.region_tables import Table

RowsOfImages = Callable[[Iterable[str]], Results["ImageRows"]]

MIN_BETWEEN_S = 0.5
"""Least time between two publications, in seconds."""
PUBLISHING_SHARE = 0.1
"""Largest share of a pass's time that may be spent on publishing."""
_STORED = ("region_id", "pixel", "predicted", "asks_all", "features", "group")
_SCORED_BY = "scored by "


@dataclass(frozen=True)
class ImageRows:
    """Scored rows of one image."""

    region_id: NDArray[np.int32]
    columns: dict[str, NDArray[np.generic]]
    pixel: NDArray[np.int32] | None = None
    predicted: NDArray[np.int32] | None = None
    asks_all: NDArray[np.bool_] | None = None
    features: NDArray[np.float32] | None = None
    group: NDArray[np.int32] | None = None

    def stored(self) -> dict[str, NDArray[Any]]:
        """Return all that there is, by name: columns to score by with a sign before it."""
        held = {name: getattr(self, name) for name in _STORED}
        scored_by = {f"{_SCORED_BY}{name}": values for name, values in self.columns.items()}
        return {name: values for name, values in held.items() if values is not None} | scored_by


def make_scores(work: JobContext) -> PoolScores:
    """Return the pool's scores by the model of a round, from ``cache/`` if they are there.

    Without a model (round 0) they are random for most methods, the same for all of these with the
    same seed. A live work publishes those of the images done so far, too.

    Raises
    ------
    Stopped
        ``should_stop`` said so.
    InputError
        No image, or not every image of a work that is not live, can be used.
    """
    snapshot, project = work.snapshot, work.snapshot.project
    path = project.scores_file(work.round)
    scores = PoolScores.load(path)
    if scores is not None and set(snapshot.data.train) <= set(scores.images):
        return scores
    by_model = project.has_trained_model(work.round) and needs_model(snapshot.config)
    images = work.each_image(rows_by_model if by_model else rows_without_model, _shuffled(work))
    is_first = work.round == 0 and not by_model
    if is_first and work.live and not work.cluster and snapshot.data.has_blocks:
        images = _encoded_on_the_way(work, images)
    encodes = "features" in columns_to_score(snapshot.config, by_model=False)
    stage: Stage = "scoring" if by_model or encodes else "superpixels"
    with RowStore(path.parent) as rows:
        _pass(work, stage, images, rows, by_model=by_model)
        with rows.in_order(snapshot.data.train) as in_order:
            scores = assemble(snapshot, in_order, by_model=by_model)
    scores.save(path)
    project.scores_file(work.round, so_far=True).unlink(missing_ok=True)
    return scores


def rows_without_model(work: JobContext) -> RowsOfImages:
    """Return what cuts images, several side by side (OpenCV leaves the interpreter free)."""
    snapshot = work.snapshot
    features = None
    if "features" in columns_to_score(snapshot.config, by_model=False):
        features = EncodedRegions(work, Predictor(work, start_segmenter(work, round_number=1)))

    def rows_of(image: str) -> ImageRows:
        ids = np.arange(snapshot.maps.n_regions(image), dtype=np.int32)
        columns = columns_without_model(snapshot, work.round, image, ids)
        if features is not None:
            columns["features"] = features(image)
        return ImageRows(ids, columns)

    return lambda images: work.side_by_side(images, rows_of)


def rows_by_model(work: JobContext) -> RowsOfImages:
    """Return what predicts images, and writes their predictions: of stage 2 where there is one.

    Stage 1 asks, but the model that users get is that of stage 2, so that is what they are shown.
    """
    from napari_al.learning.inference import class_map_of, predict_disagreement

    snapshot, project = work.snapshot, work.snapshot.project
    predictor = shown = Predictor(work, snapshot.load_model(work.round))
    if project.last_stage(work.round) == 2:
        shown = Predictor(work, snapshot.load_model(work.round, stage=2))
    names = columns_to_score(snapshot.config)
    encoded = EncodedRegions(work, predictor) if "features" in names else None

    def rows_of(image: str) -> ImageRows:
        probs, features = predictor.features(image)
        table = _table(snapshot, image, probs)
        by_base: dict[str, NDArray[np.floating[Any]]] = {}
        if encoded is not None:
            by_base["features"] = encoded(image)
        if "disagreement" in names:
            values = predict_disagreement(predictor.segmenter, features, snapshot.data.shape(image))
            by_base["disagreement"] = region_means(
                values.cpu().numpy(), snapshot.maps(image), len(table)
            )
        rows = _reduce(work, image, table, by_base, names)
        write_table(project.table_file(work.round, image), table)
        prediction = class_map_of(probs if shown is predictor else shown.probs(image))
        valid = work.snapshot.data.valid(image)
        if valid is not None:
            prediction[~valid] = IGNORE
        cache_files.write_class_map(project.prediction_file(work.round, image), prediction)
        return rows

    return lambda images: predictor.for_each(images, rows_of)


def _pass(
    work: JobContext,
    stage: Stage,
    images: Results[ImageRows],
    rows: RowStore,
    *,
    by_model: bool,
) -> None:
    """Collect the rows of all images; publish them on the way if the work is live."""
    n_images = len(work.snapshot.data.train)
    next_s = 0.0
    for n_done, (image, rows_of_image) in enumerate(images, start=1):
        work.check()
        with work.using(image):
            rows.append(image, rows_of_image().stored())
        publish = work.live and len(rows) > 0 and time.monotonic() >= next_s
        if publish:
            started_s = time.monotonic()
            so_far = assemble(work.snapshot, rows, by_model=by_model)
            so_far.save(work.snapshot.project.scores_file(work.round, so_far=True))
            now_s = time.monotonic()
            next_s = now_s + max(MIN_BETWEEN_S, (now_s - started_s) / PUBLISHING_SHARE)
        work.report(stage, n_done, n_images, published=publish)
    if not len(rows):
        reasons = " ".join(list(work.left_out.values())[:1])
        raise InputError(f"no image of {work.snapshot.data.path} can be used: {reasons}")


def _encoded_on_the_way(work: JobContext, images: Results[ImageRows]) -> Results[ImageRows]:
    """Yield images; encode each for a frozen segmenter while its questions are answered.

    For blocks of large pictures: each takes many seconds, and the first training would have to wait
    for all that have answers. A block that the user has gone to, and that has no questions yet,
    does not wait: what is being encoded then comes later.
    """
    waiting, left = set(work.snapshot.data.train), deque[str]()

    def gives_way() -> bool:
        return work.should_stop() or work.snapshot.project.read_looked_at() in waiting

    polite, predictor = replace(work, should_stop=gives_way), None
    for image, rows_of_image in images:
        yield image, rows_of_image
        waiting.discard(image)
        left.append(image)
        predictor = predictor or Predictor(polite, start_segmenter(work, round_number=1))
        if predictor.encodings is None:
            continue
        oldest = left.popleft()
        try:
            with work.using(oldest):
                predictor.encodings(oldest)
        except Stopped:
            work.check()
            left.appendleft(oldest)


def _shuffled(work: JobContext) -> list[str]:
    """Shuffle the images, so that those scored first are representative of all."""
    names = work.snapshot.data.train
    rng = np.random.default_rng([work.snapshot.config.seed, work.round])
    return [names[i] for i in rng.permutation(len(names))]


def _table(snapshot: Snapshot, image: str, probs: torch.Tensor) -> Table:
    """Reduce an image's (C, H, W) probabilities to a row a base region."""
    region_map = snapshot.maps(image)
    n_regions = snapshot.maps.n_regions(image)
    if snapshot.config.method.query == "correction":
        from napari_al.core.correction import correction_table

        labels = snapshot.current_labels(image)
        settings = snapshot.config.acquisition
        return correction_table(
            probs,
            region_map,
            n_regions,
            labels,
            representative=settings.representative,
            unlabelled=settings.unlabelled,
        )
    from napari_al.core.regions import region_table

    return region_table(probs, region_map, n_regions)


def _reduce(
    work: JobContext,
    image: str,
    table: Table,
    by_base: dict[str, NDArray[np.floating[Any]]],
    names: tuple[str, ...],
) -> ImageRows:
    """Reduce an image's base regions to the regions that are asked about, with their columns.

    ``by_base`` are further columns of the base regions: means over their pixels.
    """
    snapshot = work.snapshot
    method, settings = snapshot.config.method, snapshot.config.acquisition
    region_id, group = np.arange(len(table), dtype=np.int32), None
    if isinstance(table, RegionTable) and method.merging == "adaptive":
        group = merged_regions(table, snapshot.maps(image), settings.epsilon)
        kept, row_of_base = np.unique(group, return_inverse=True)
        region_id = kept.astype(np.int32)
        by_base = {
            name: means_of_merged(values, table.size, row_of_base)
            for name, values in by_base.items()
        }
        table = merge_rows(table, row_of_base)
    held = {**columns_without_model(snapshot, work.round, image, region_id, group), **by_base}
    columns = {name: held[name] if name in held else getattr(table, name) for name in names}
    predicted = table.dominant.astype(np.int32)
    if not isinstance(table, CorrectionTable):
        asks_all = None
        if method.query_choice == "by-region":
            asks_all = multi_class_gains_more(
                table.class_histogram, settings.query_seconds, settings.share_localised
            )
        return ImageRows(region_id, columns, predicted=predicted, asks_all=asks_all, group=group)
    return ImageRows(
        region_id,
        columns,
        pixel=table.representative.astype(np.int32),
        predicted=predicted,
        features=table.mean_probs if method.correction == "automatic" else None,
    )


def assemble(snapshot: Snapshot, rows: RowStore, *, by_model: bool) -> PoolScores:
    """Score the rows of images."""
    columns = {
        name.removeprefix(_SCORED_BY): rows.column(name)
        for name in rows.columns
        if name.startswith(_SCORED_BY)
    }
    held = {name: rows.column(name) if name in rows.columns else None for name in _STORED}
    score, index = (rows.new_column(kind, "region_id") for kind in (np.float64, np.int32))
    pool_scores(columns, snapshot.config, score, by_model=by_model)
    ends = np.cumsum(rows.lengths("region_id"))
    for number, (start, end) in enumerate(zip([0, *ends.tolist()], ends.tolist(), strict=False)):
        index[start:end] = number
    groups = held["group"]
    return PoolScores(
        images=tuple(rows.images),
        shapes=np.array([snapshot.data.shape(image) for image in rows.images], np.int32),
        image_index=index,
        region_id=rows.column("region_id"),
        score=score,
        pixel=held["pixel"],
        predicted=held["predicted"],
        asks_all=held["asks_all"],
        features=held["features"],
        base_group=groups,
        base_offset=None if groups is None else np.cumsum([0, *rows.lengths("group")]),
    )
