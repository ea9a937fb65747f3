"""Labels of a project as files of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.exchange.export import Format, Item, export_labels
from napari_al.methods.targets import with_answers
from napari_al.session.log.snapshot import by_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_al.session.session import Session

    ClassMapOf = Callable[[str], NDArray[np.uint8]]

Source = Literal["targets", "predictions", "answers"]
_ORIGINS: Final[dict[Source, str]] = {
    "targets": "They are training labels made from answers about regions of the images.",
    "predictions": "They are the predictions of a model trained on answers about regions.",
    "answers": "They are the answers given about regions of the images.",
}


def export_session(session: Session, format: Format, source: Source, folder: Path) -> int:
    """Write a class map of every training image; return how many images that is.

    Parameters
    ----------
    session : Session
    format : str
        A key of ``formats.export.WRITERS``.
    source : "targets", "predictions" or "answers"
        What the newest model was trained on with what was answered since (before the first: the
        answers, or the corrected labels); what the newest model says; or what was answered, and
        nothing else.
    folder : Path

    Raises
    ------
    InputError
        If there is no model to predict with, or the folder cannot be used.
    """
    if source not in get_args(Source):
        raise InputError(f"source={source!r}: expected one of {', '.join(get_args(Source))}")
    class_map_of: dict[Source, Callable[[], ClassMapOf]] = {
        "targets": lambda: _newest_labels(session),
        "answers": lambda: session.answers_map,
        "predictions": lambda: _predictor(session),
    }
    items = _items(session, class_map_of[source]())
    return export_labels(folder, items, session.config.classes, format, _ORIGINS[source])


def _items(session: Session, class_map_of: ClassMapOf) -> Iterator[Item]:
    for name in session.data.train:
        source = session.data.files(name)["images"]
        yield Item(session.data.file_name(name), class_map_of(name), source)


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


def _predictor(session: Session) -> ClassMapOf:
    """Predict with the newest model: that of the second stage where there are two."""
    path = session.project.newest_model_file()
    from napari_al.learning.devices import resolve_device
    from napari_al.learning.inference import class_map_of, predict_probs
    from napari_al.session.log.class_edits import load_model

    segmenter = load_model(path, session.config.classes)
    device = resolve_device(session.config.training.device)

    def predict(image: str) -> NDArray[np.uint8]:
        probs = predict_probs(segmenter, session.data.image(image), device)
        class_map = class_map_of(probs)
        valid = session.data.valid(image)
        return class_map if valid is None else np.where(valid, class_map, np.uint8(IGNORE))

    return predict
