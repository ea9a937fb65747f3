"""A pool's scores: one row a region that may be asked, made by one pass of a model over the images.

Images are streamed; of each only one row a region is kept, with the columns that the acquisition
function needs (``acquisition.py`` says which: 4 bytes each, or 4 bytes a class).
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_al.session import pictures
from napari_al.session.jobs import JobProgress, Stopped
from napari_al.session.project import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from napari_al.learning.segmenter import Segmenter
    from napari_al.session.snapshot import Snapshot

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class PoolScores:
    """Regions that may be asked, image by image.

    Attributes
    ----------
    image_index : (P,) int32
        Position of the region's image in ``data.train``; ascending.
    region_id : (P,) int32
        Base region id; of merged regions, that of the seed.
    score : (P,) float64
        Larger = ask sooner; -inf = never.
    pixel : (P,) int32 or None
        Flat index of the representative pixel (correction queries).
    features : (P, C) float32 or None
        Mean probabilities (for automatic corrections).
    base_group : (B,) int32 or None
        Of each base region of each image, the seed of the merged region it belongs to.
    base_offset : (n_images + 1,) int64 or None
        Where each image's base regions begin in ``base_group``.
    """

    image_index: NDArray[np.int32]
    region_id: NDArray[np.int32]
    score: NDArray[np.float64]
    pixel: NDArray[np.int32] | None = None
    features: NDArray[np.float32] | None = None
    base_group: NDArray[np.int32] | None = None
    base_offset: NDArray[np.int64] | None = None

    def rows_of(self, image_index: int) -> slice:
        """Rows of one image."""
        first, last = np.searchsorted(self.image_index, [image_index, image_index + 1])
        return slice(int(first), int(last))

    def groups_of(self, image_index: int) -> NDArray[np.int32] | None:
        """Return the (R,) seed id of each base region of an image; None where nothing is merged."""
        if self.base_group is None or self.base_offset is None:
            return None
        return self.base_group[self.base_offset[image_index] : self.base_offset[image_index + 1]]

    def base_ids(self, row: int) -> tuple[int, ...]:
        """Base region ids that a row's region covers, ascending."""
        groups = self.groups_of(int(self.image_index[row]))
        if groups is None:
            return (int(self.region_id[row]),)
        return tuple(np.flatnonzero(groups == self.region_id[row]).tolist())

    def fits(self, n_images: int) -> bool:
        """Whether they may be those of a pool with that many images."""
        last = int(self.image_index.max(initial=-1))
        return last < n_images and len(self.region_id) == len(self.score) == len(self.image_index)

    def save(self, path: Path) -> None:
        """Write to ``path`` (npz)."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        buffer = io.BytesIO()
        np.savez(buffer, **{name: value for name, value in held.items() if value is not None})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue(), durable=False)

    @classmethod
    def load(cls, path: Path) -> PoolScores | None:
        """Read what ``save`` wrote; None where it is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{name: stored[name] for name in stored.files})
        except (OSError, ValueError, TypeError, EOFError, KeyError):
            return None
        except Exception as error:  # zipfile's and zlib's own errors, whatever a cut file raises
            if type(error).__module__ in ("zipfile", "zlib"):
                return None
            raise


def random_scores(snapshot: Snapshot, model_round: int) -> PoolScores:
    """Score every base region at random, the same for every method with the same seed."""
    images = snapshot.data.train
    counts = [int(snapshot.maps(image).max()) + 1 for image in images]
    rng = np.random.default_rng([snapshot.config.seed, model_round])
    return PoolScores(
        image_index=np.repeat(np.arange(len(images), dtype=np.int32), counts),
        region_id=np.concatenate([np.arange(n, dtype=np.int32) for n in counts]),
        score=rng.random(sum(counts)),
    )


def model_scores(
    snapshot: Snapshot,
    segmenter: Segmenter,
    model_round: int,
    device: torch.device,
    progress: Callable[[JobProgress], None],
    should_stop: Callable[[], bool],
) -> PoolScores:
    """Score every region of the pool with a model; writes its predictions on the way.

    Raises
    ------
    Stopped
        ``should_stop`` said so.
    """
    from napari_al.learning.inference import predict_probs
    from napari_al.session.acquisition import ACQUISITIONS

    acquisition = ACQUISITIONS[snapshot.config.method.acquisition]
    parts: list[_ImageRows] = []
    images = snapshot.data.train
    for index, image in enumerate(images):
        if should_stop():
            raise Stopped
        probs = predict_probs(segmenter, snapshot.data.image(image), device)
        path = snapshot.project.prediction_file(model_round, image)
        pictures.write_class_map(path, probs.argmax(0).to("cpu").numpy().astype(np.uint8))
        parts.append(_reduce(snapshot, image, probs, acquisition.columns))
        progress(JobProgress("scoring", index + 1, len(images), image=image))
    return _assemble(snapshot, parts)


@dataclass(frozen=True)
class _ImageRows:
    """What is kept of one image."""

    region_id: NDArray[np.int32]
    columns: dict[str, NDArray[np.generic]]
    pixel: NDArray[np.int32] | None = None
    features: NDArray[np.float32] | None = None
    group: NDArray[np.int32] | None = None


def _reduce(
    snapshot: Snapshot, image: str, probs: torch.Tensor, columns: tuple[str, ...]
) -> _ImageRows:
    """Reduce an image's (C, H, W) probabilities to rows."""
    method, settings = snapshot.config.method, snapshot.config.acquisition
    region_map = snapshot.maps(image)
    n_regions = int(region_map.max()) + 1
    if method.query == "correction":
        from napari_al.core.correction import correction_table

        labels = snapshot.current_labels(image)
        corrections = correction_table(
            probs, region_map, n_regions, labels, representative=settings.representative
        )
        queried = snapshot.answered_ids(image)
        return _ImageRows(
            np.arange(n_regions, dtype=np.int32),
            {name: getattr(corrections, name) for name in columns if name != "queried"}
            | {"queried": np.isin(np.arange(n_regions), list(queried))},
            pixel=corrections.representative.astype(np.int32),
            features=corrections.mean_probs if method.correction == "automatic" else None,
        )

    from napari_al.core.regions import merge_rows, region_table

    table = region_table(probs, region_map, n_regions)
    region_id, group = np.arange(n_regions, dtype=np.int32), None
    if method.merging == "adaptive":
        from napari_al.core.adjacency import adjacency
        from napari_al.core.merging import adaptive_merge

        group = adaptive_merge(
            table.mean_probs, table.mean_bvsb, adjacency(region_map), settings.epsilon
        )
        region_id, row_of_base = np.unique(group, return_inverse=True)
        table = merge_rows(table, row_of_base)
    return _ImageRows(
        region_id.astype(np.int32), {name: getattr(table, name) for name in columns}, group=group
    )


def _assemble(snapshot: Snapshot, parts: list[_ImageRows]) -> PoolScores:
    """Put the images' rows together and score them."""
    from napari_al.session.acquisition import ACQUISITIONS

    acquisition = ACQUISITIONS[snapshot.config.method.acquisition]
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in acquisition.columns
    }
    counts = [len(part.region_id) for part in parts]
    scores = PoolScores(
        image_index=np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        region_id=np.concatenate([part.region_id for part in parts]),
        score=acquisition.score(columns, snapshot.config),
        pixel=_concatenate([part.pixel for part in parts]),
        features=_concatenate([part.features for part in parts]),
    )
    groups = [part.group for part in parts if part.group is not None]
    if not groups:
        return scores
    return replace(
        scores,
        base_group=np.concatenate(groups),
        base_offset=np.cumsum([0, *(len(group) for group in groups)]),
    )


def _concatenate(parts: list[NDArray[Scalar] | None]) -> NDArray[Scalar] | None:
    held = [part for part in parts if part is not None]
    return np.concatenate(held) if held else None
