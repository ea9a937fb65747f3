"""Labels of a project as files of other programs.

An export is prepared before it is written: every class map is computed and counted, so that the
user can look at a summary (`ExportSummary`) and decline.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import live_classes
from napari_al.formats.exchange.export import check_free
from napari_al.formats.remote import fetch
from napari_al.methods.targets import answered_pixels, over_prediction, with_answers
from napari_al.session.log.snapshot import by_image
from napari_al.session.project import cache_files
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.tools.prepared_export import ExportSummary, PreparedExport, PreparedImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_al.formats.exchange.export import Format
    from napari_al.session.session import Session

    ClassMapOf = Callable[[str], NDArray[np.uint8]]

Source = Literal["finished", "predictions", "targets", "answers"]
_ORIGINS: Final[dict[Source, str]] = {
    "finished": "They are answers about regions of the images, and what a model trained on them "
    "predicts elsewhere.",
    "targets": "They are training labels made from answers about regions of the images.",
    "predictions": "They are the predictions of a model trained on answers about regions.",
    "answers": "They are the answers given about regions of the images.",
}


def prepare_export(
    session: Session,
    source: Source,
    folder: Path,
    *,
    uncertainty: bool = False,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PreparedExport:
    """Make the class map of every training image, and count what is in them.

    Merged classes are left out: the ids of those after them move up.

    Parameters
    ----------
    session : Session
    source : "finished", "predictions", "targets" or "answers"
        The answers over what the newest model predicts (before the first model: over nothing);
        what that says alone; what it was trained on with what was answered since (before the first:
        the answers, or the corrected labels); or what was answered, and nothing else.
    folder : Path
        An empty folder for what is prepared.
    uncertainty : bool
        Also keep, of each pixel, the second-largest probability divided by the largest.
    on_progress : callable
        Is told how many images of how many are done.
    should_stop : callable
        Asked before each image.

    Raises
    ------
    InputError
        If there is no model to predict with.
    Stopped
        ``should_stop`` said so.
    """
    if source not in get_args(Source):
        raise InputError(f"source={source!r}: expected one of {', '.join(get_args(Source))}")
    all_classes = session.config.classes
    live = live_classes(all_classes)
    new_ids = np.full(IGNORE + 1, IGNORE, np.uint8)
    new_ids[[info.id for info in live]] = np.arange(len(live))
    has_model = session.model_round is not None
    predictor = None
    if source == "predictions" or uncertainty or (source == "finished" and has_model):
        predictor = _Predictor(session)
    class_map_of = _class_maps(session, source, predictor)
    answers = by_image((a.query.region.image, a) for a in session.answers())
    pixels, n_answered, images = np.zeros(IGNORE + 1, np.int64), 0, {}
    names = session.data.train
    for n_before, name in enumerate(names):
        if should_stop():
            raise Stopped
        class_map = new_ids[class_map_of(name)]
        pixels += np.bincount(class_map.ravel(), minlength=IGNORE + 1)
        n_answered += int(answered_pixels(class_map.shape, answers.get(name, ())).sum())
        cache_files.write_class_map(folder / "labels" / f"{name}.png", class_map)
        if uncertainty and predictor is not None:
            path = folder / "uncertainty" / f"{name}.png"
            cache_files.write_class_map(path, predictor.uncertainty(name))
        path = session.data.files(name)["images"]
        fetch(path)
        images[name] = PreparedImage(
            file_name=session.data.file_name(name), source=str(path), part=session.data.part(name)
        )
        on_progress(n_before + 1, len(names))
    summary = ExportSummary(
        len({image.file_name for image in images.values()}),
        int(pixels.sum()),
        n_answered,
        {info.name: int(n) for info, n in zip(live, pixels, strict=False)},
        int(pixels[IGNORE]),
        "" if predictor is None else model_text(session),
        tuple(_notes(session, source)),
    )
    classes = tuple(info.model_copy(update={"id": i}) for i, info in enumerate(live))
    prepared = PreparedExport(folder, images, classes, uncertainty, _ORIGINS[source], summary)
    prepared.save()
    return prepared


def export_session(
    session: Session,
    format: Format,
    source: Source,
    folder: Path,
    *,
    overwrite: bool = False,
    uncertainty: bool = False,
    on_summary: Callable[[ExportSummary], object] = lambda _: None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Write a class map of every training image; return how many images that is.

    Parameters
    ----------
    session, source, uncertainty, on_progress
        As of `prepare_export`.
    format : str
        A key of ``formats.export.WRITERS``.
    folder : Path
    overwrite : bool
        Replace an earlier export of this format in the folder.
    on_summary : callable
        Gets what the export holds before it is written.

    Raises
    ------
    InputError
        If there is no model to predict with, or the folder cannot be used.
    """
    if not overwrite:
        check_free(folder, format)
    with tempfile.TemporaryDirectory(prefix="napari-al-export-") as part:
        prepared = prepare_export(
            session, source, Path(part), uncertainty=uncertainty, on_progress=on_progress
        )
        on_summary(prepared.summary)
        return prepared.write(format, folder, overwrite=overwrite)


# ---- jobs (see ``job_function.py``)


def prepare_job(
    args: dict[str, Any],
    on_progress: Callable[[JobProgress], None],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Prepare an export of a project.

    Parameters
    ----------
    args : dict
        ``project`` and ``folder``, paths; ``source``, ``uncertainty`` as of `prepare_export`.
    """
    from napari_al.session.session import Session

    with Session.open(Path(args["project"]), read_only=True) as session:
        prepare_export(
            session,
            args["source"],
            Path(args["folder"]),
            uncertainty=args["uncertainty"],
            on_progress=lambda done, total: on_progress(JobProgress("labels", done, total)),
            should_stop=should_stop,
        )
    return {}


def write_job(
    args: dict[str, Any], on_progress: Callable[[JobProgress], None], *_: object
) -> dict[str, Any]:
    """Write a prepared export.

    Parameters
    ----------
    args : dict
        ``prepared`` and ``folder``, paths; ``format``, ``overwrite`` as of `PreparedExport.write`.

    Returns
    -------
    dict
        ``n_images``.
    """
    n_images = PreparedExport.open(Path(args["prepared"])).write(
        args["format"],
        Path(args["folder"]),
        overwrite=args["overwrite"],
        on_progress=lambda done, total: on_progress(JobProgress("labels", done, total)),
    )
    return {"n_images": n_images}


# ---- class maps


def model_text(session: Session) -> str:
    """Return the newest model and how good it is, in words."""
    number = session.model_round
    row = next((r for r in session.rounds() if r["round"] == str(number)), {})
    measured, predicted = row.get("model_miou"), session.prequential_accuracy().newest
    how_good = []
    if measured:
        how_good.append(f"mIoU {float(measured):.2f} on the validation images")
    if predicted.n:
        how_good.append(f"{predicted.value:.0%} of the last {predicted.n} answers predicted right")
    unknown = "its accuracy is not known: there are no validation images"
    return f"the model of round {number} ({'; '.join(how_good) or unknown})"


def _notes(session: Session, source: Source) -> Iterator[str]:
    if source == "finished" and session.model_round is None:
        yield "There is no model yet: what is not answered has no class."
    classes = session.config.classes
    names = {info.id: info.name for info in classes}
    merged = [
        f"{info.name} counts as {names[info.merged_into]}"
        for info in classes
        if info.merged_into is not None
    ]
    if merged:
        yield f"Merged classes are left out, and later ids move up: {', '.join(merged)}."


def _class_maps(session: Session, source: Source, predictor: _Predictor | None) -> ClassMapOf:
    if source == "targets":
        return _newest_labels(session)
    if source == "answers" or predictor is None:
        return session.answers_map
    if source == "predictions":
        return predictor.class_map
    answers = by_image((a.query.region.image, a) for a in session.answers())
    return lambda image: over_prediction(predictor.class_map(image), answers.get(image, ()))


def _newest_labels(session: Session) -> ClassMapOf:
    """Return training labels in which answers given, changed or undone since the training count."""
    if session.config.method.targets == "correct":
        return session.current_labels  # the next training takes these, all of them
    trained = by_image((a.query.region.image, a) for a in session.answers_of_model())
    now = by_image((a.query.region.image, a) for a in session.answers())

    def class_map_of(image: str) -> NDArray[np.uint8]:
        then = {a.id: a for a in trained.get(image, ())}
        here = {a.id: a for a in now.get(image, ())}
        class_map = session.targets(image)
        if then.keys() == here.keys():
            return class_map
        class_map, current = class_map.copy(), session.current_labels(image)
        for mask in (a.query.region.mask for key, a in then.items() if key not in here):
            mask.view(class_map)[mask.crop()] = mask.view(current)[mask.crop()]
        return with_answers(class_map, [a for key, a in here.items() if key not in then])

    return class_map_of


class _Predictor:
    """Predicts with the newest model: that of the second stage where there are two."""

    def __init__(self, session: Session) -> None:
        from napari_al.learning.devices import resolve_device
        from napari_al.session.log.class_edits import load_model

        path = session.project.newest_model_file()
        self._data = session.data
        self._segmenter = load_model(path, session.config.classes)
        self._device = resolve_device(session.config.training.device)
        self._newest: tuple[str, NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def class_map(self, image: str) -> NDArray[np.uint8]:
        """(H, W) most probable classes, IGNORE where the image has no data."""
        return self._predict(image)[0].copy()

    def uncertainty(self, image: str) -> NDArray[np.uint8]:
        """(H, W) second-largest probability divided by the largest, 0 to 255."""
        return self._predict(image)[1]

    def _predict(self, image: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        from napari_al.core.acquisition import bvsb_and_class
        from napari_al.learning.inference import predict_probs

        if self._newest is None or self._newest[0] != image:
            probs = predict_probs(self._segmenter, self._data.in_place(image), self._device)
            ratio, class_ids = bvsb_and_class(probs)
            class_map = class_ids.cpu().numpy().astype(np.uint8)
            uncertain = np.rint(255 * ratio.cpu().numpy()).astype(np.uint8)
            valid = self._data.valid(image)
            if valid is not None:
                class_map[~valid], uncertain[~valid] = IGNORE, 0
            self._newest = (image, class_map, uncertain)
        return self._newest[1:]
