"""Class maps of any images by a trained model: ``napari-al predict``.

Each image is read, predicted and written in blocks, so that its size does not matter. Output files
are written atomically; existing ones are not written again.
"""

from __future__ import annotations

import math
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_al.core import IGNORE
from napari_al.core.geometry.in_place import squares
from napari_al.errors import InputError
from napari_al.formats.classes import classes_to_json, palette_of
from napari_al.formats.image_rules import filled, valid_pixels
from napari_al.formats.images import MAX_PIXELS, write_png
from napari_al.formats.listing import walk
from napari_al.formats.parts.axis_steps import axis_steps
from napari_al.formats.parts.picture_parts import each_plane
from napari_al.formats.parts.raster_output import new_ome_zarr, write_class_tiff
from napari_al.formats.parts.rasters import RASTER_SUFFIXES, open_raster
from napari_al.session.rounds.cluster import connected
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.tools.output_folder import output_folder
from napari_al.tools.trained_model import Model, open_model
from napari_al.writing import remove_left_overs, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_al.formats.parts.raster_output import WriteProbs
    from napari_al.formats.parts.rasters import Raster
    from napari_al.learning.devices import DeviceName
    from napari_al.session.rounds.cluster import Cluster


RECORD: Final = "prediction.json"
"""What a folder of predictions was made with."""
_OPENING = threading.Lock()


def predict_images(
    model: Model,
    images: Sequence[Path],
    out: Path,
    *,
    device: DeviceName = "auto",
    probabilities: bool = False,
    skip_broken: bool = False,
    cluster: str = "",
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[Path, str]:
    """Write the class map of each image, and ``classes.json``.

    Parameters
    ----------
    model : Model
    images : sequence of Path
        Pictures, OME-Zarr folders, and folders of those.
    out : Path
        A new folder, or one to go on in. ``NAME.png`` holds class ids in the classes' colours; of
        an image of over ``MAX_PIXELS`` and of a stack, ``NAME.tif`` does, in tiles.
    device : {"auto", "cpu", "cuda"}
    probabilities : bool
        Also write ``NAME.probabilities.zarr``: OME-Zarr, (K, H, W) float32 (of a stack with time
        before and z after K), with the names and colours of the classes as channels, and the
        image's scale and units.
    skip_broken : bool
        Leave out images that cannot be used.
    cluster : str
        Address of one on whose workers images are predicted, each by one
        (``session/rounds/cluster.py``).
    on_progress : callable
        Is told how many parts of how many are done.

    Returns
    -------
    dict of Path to str
        Images that were left out, and why.

    Raises
    ------
    InputError
        If an image, the model or the folder cannot be used. All images are looked at before the
        first is predicted.
    """
    from napari_al.learning.devices import resolve_device

    places = _places(images, out)
    predictor = _Predictor(model, resolve_device(device), probabilities)
    left_out: dict[Path, str] = {}

    @contextmanager
    def using(image: Path) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if not skip_broken:
                raise
            left_out[image] = str(error)

    n_parts: dict[Path, int] = {}
    for image in places:
        with using(image):
            n_parts[image] = predictor.look(image)
    n_done, total, done = dict.fromkeys(n_parts, 0), sum(n_parts.values()), 0

    def report(image: Path, n: int) -> None:
        nonlocal done
        done += n - n_done[image]
        n_done[image] = n
        on_progress(done, total)

    record = {"model": model.fingerprint, "probabilities": probabilities}
    with output_folder(out, RECORD, record):
        write_atomic(out / "classes.json", classes_to_json(model.classes).encode())
        for folder in {place.parent for place in places.values()}:
            remove_left_overs(folder)
        if cluster:
            common = {"file": str(model.file.absolute()), "device": device, **record}
            workers = connected(cluster)
            workers.check_sees(out.absolute())
            predicted = _predicted_by(workers, common, places, n_parts, report)
        else:
            predicted = (
                (image, partial(predictor.predict, image, places[image], partial(report, image)))
                for image in n_parts
            )
        for image, finish in predicted:
            with using(image):
                finish()
            if n_done[image] < n_parts[image]:  # it was there, or is left out
                report(image, n_parts[image])
    return left_out


def predict_image(
    args: dict[str, Any], progress: Callable[[JobProgress], None], should_stop: Callable[[], bool]
) -> None:
    """Write the files of one image: a job function (``session/rounds/job_function.py``).

    Parameters
    ----------
    args : dict
        ``file`` of the model, ``model`` (its fingerprint), ``device``, ``probabilities``;
        ``image`` and ``place`` (paths), ``n_parts`` of the image.
    progress, should_stop : see there
    """

    def report(n_done: int) -> None:
        if should_stop():
            raise Stopped
        progress(JobProgress("predicting", n_done, args["n_parts"]))

    with _OPENING:  # once, for all threads of a worker
        predictor = _predictor(*(args[n] for n in ("file", "model", "device", "probabilities")))
    predictor.predict(Path(args["image"]), Path(args["place"]), report)


@lru_cache(maxsize=1)
def _predictor(file: str, fingerprint: str, device: DeviceName, probabilities: bool) -> _Predictor:
    from napari_al.learning.devices import resolve_device

    model = open_model(Path(file))
    if model.fingerprint != fingerprint:
        raise InputError(f"{file} is another file on this worker; have all machines see the same")
    model.segmenter.eval()  # now: threads of a worker that predict share it
    return _Predictor(model, resolve_device(device), probabilities)


def _predicted_by(
    cluster: Cluster,
    common: dict[str, Any],
    places: dict[Path, Path],
    n_parts: dict[Path, int],
    report: Callable[[Path, int], None],
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Have a cluster predict images; yield each that is done, with what raises its error."""
    image_of = {str(image.absolute()): image for image in n_parts}
    tasks = [
        {**common, "image": path, "place": str(places[image].absolute()), "n_parts": n_parts[image]}
        for path, image in image_of.items()
    ]
    for args, finish in cluster.results(
        f"{__name__}:predict_image",
        tasks,
        on_progress=lambda args, step: report(image_of[args["image"]], step.done),
    ):
        yield image_of[args["image"]], finish


@dataclass(frozen=True)
class _Predictor:
    model: Model
    device: torch.device
    probabilities: bool

    def look(self, image: Path) -> int:
        """Check that an image can be predicted; return the number of parts."""
        from napari_al.learning.inference import n_blocks

        rules = self.model.rules
        with open_raster(image, rules.pages) as raster:
            wanted = self.model.segmenter.n_channels
            if rules.is_decided and rules.n_channels == wanted:
                rules.check(image, raster.header)
            elif raster.n_channels != wanted:
                raise InputError(
                    f"{image} has {raster.n_channels} channel(s), and the model takes images of "
                    f"{wanted}; convert it, or use a model that was trained on such images"
                )
            n_planes = math.prod(length for _, length in raster.planes)
            return n_planes * n_blocks(self.model.segmenter, raster.shape)

    def predict(self, image: Path, place: Path, report: Callable[[int], None]) -> None:
        """Write an image's files unless they are there; report how many parts are done."""
        from napari_al.learning.inference import block_px

        probabilities = place.with_name(f"{place.name}.probabilities.zarr")
        palette = palette_of(self.model.classes)
        side = block_px(self.model.segmenter)
        with open_raster(image, self.model.rules.pages) as raster, ExitStack() as stack:
            is_large = math.prod(raster.shape) > MAX_PIXELS or raster.planes
            class_file = place.with_name(place.name + (".tif" if is_large else ".png"))
            if class_file.exists() and (probabilities.exists() or not self.probabilities):
                return
            keep, planes, steps = None, raster.planes, axis_steps(image)
            if self.probabilities:
                classes = self.model.classes
                zarr = new_ome_zarr(
                    probabilities, raster.shape, side, classes, planes=planes, steps=steps
                )
                keep = stack.enter_context(zarr)
            predicted = self._blocks(raster, keep, report)
            if is_large:
                # what is predicted at a time may be larger than the file's tiles
                parts = (
                    ids[square]
                    for _, _, ids in predicted
                    for square in squares((ids.shape[0], ids.shape[1]), side)
                )
                write_class_tiff(
                    class_file, parts, raster.shape, side, palette, planes=planes, steps=steps
                )
            else:
                class_map = np.empty(raster.shape, np.uint8)
                for rows, cols, ids in predicted:
                    class_map[rows, cols] = ids
                write_png(class_file, class_map, palette)

    def _blocks(
        self, raster: Raster, keep: WriteProbs | None, report: Callable[[int], None]
    ) -> Iterator[tuple[slice, slice, NDArray[np.uint8]]]:
        """Class ids of an image part by part; ``keep`` is given the probabilities."""
        from napari_al.learning.inference import class_map_of, predict_blocks

        rules = self.model.rules
        nodata = raster.header.nodata if rules.nodata is None else rules.nodata

        def read(plane: tuple[int, ...], rows: slice, cols: slice) -> NDArray[Any]:
            pixels = raster.read(rows, cols, plane)
            valid = valid_pixels(pixels, nodata)
            if valid is not None:
                pixels = filled(pixels, valid)
            return rules.fitted(pixels) if rules.is_decided else pixels

        blocks = (
            (plane, *block)
            for plane in each_plane(raster.planes)
            for block in predict_blocks(
                self.model.segmenter, partial(read, plane), raster.shape, self.device
            )
        )
        for n_before, (plane, rows, cols, probs) in enumerate(blocks):
            if keep is not None:
                keep(rows, cols, plane, probs.cpu().numpy())
            report(n_before + 1)
            class_map = class_map_of(probs)
            if nodata is not None or raster.dtype == "float32":
                valid = valid_pixels(raster.read(rows, cols, plane), nodata)
                if valid is not None:
                    class_map = np.where(valid, class_map, np.uint8(IGNORE))
            yield rows, cols, class_map


# ---- which images, and where to


def _places(images: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Images by path, and where each one's output goes, without suffix.

    Raises
    ------
    InputError
        If there are none, if two would be written to one place, or one over itself.
    """
    places: dict[Path, Path] = {}
    image_of: dict[Path, Path] = {}
    for given in images:
        if given.is_dir() and out.resolve().is_relative_to(given.resolve()):
            raise InputError(f"{out} lies in {given}, among the images; name another folder")
        for image, name in _named(given):
            place = out / name
            if image.resolve().parent == place.resolve().parent:
                raise InputError(f"{image} lies in {out}; name another folder for the predictions")
            if image_of.setdefault(place, image) != image:
                raise InputError(
                    f"{image_of[place]} and {image} would both be written to {place}; predict them "
                    "into folders of their own"
                )
            places[image] = place
    return places


def _named(given: Path) -> list[tuple[Path, str]]:
    """Return the images that a path means, each with its name: below the folder, no suffix."""
    if not given.exists():
        raise InputError(f"{given} does not exist; name images, OME-Zarr folders, or folders")
    if not given.is_dir() or ".zarr" in (given.suffix.lower(), given.parent.suffix.lower()):
        return [(given, given.stem)]
    if (given / "classes.json").exists():
        raise InputError(
            f"{given} is a data folder, which holds labels, too; name its folder of images"
        )
    found = []
    for here, folders, files in walk(given):
        pictures = [name for name in (*folders, *files) if _is_picture(name)]
        found += [here / name for name in pictures]
        folders[:] = [name for name in folders if name not in pictures]
    if not found:
        raise InputError(f"{given} has no images; expected {', '.join(RASTER_SUFFIXES)}")
    return [(path, path.relative_to(given).with_suffix("").as_posix()) for path in sorted(found)]


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in RASTER_SUFFIXES and not name.startswith(".")
