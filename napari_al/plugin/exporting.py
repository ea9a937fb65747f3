"""Labels of a session as files of other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.formats.export import export_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.session.session import Session


def export_session(session: Session, format: str, source: str, folder: Path) -> int:
    """Write the labels of all training images and return how many images that is.

    Parameters
    ----------
    session : Session
    format : a key of ``formats.export.WRITERS``
    source : ``targets``, ``predictions`` or ``answers``
    folder : Path

    Raises
    ------
    InputError
        If there are none yet, or the folder cannot be used.
    """
    return export_labels(folder, _items(session, source), session.config.classes, format)  # type: ignore[arg-type]


def _items(session: Session, source: str) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for name in session.data.train:
        if source == "predictions":
            class_map = session.prediction(name)
            if class_map is None:
                raise InputError("There is no prediction yet; train a model first.")
        elif source == "answers":
            class_map = session.answers_map(name)
        else:
            class_map = session.targets(name)
        yield session.data.file_name(name), class_map
