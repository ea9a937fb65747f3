"""Classes that change while a project is annotated: added, renamed, recoloured, merged, deleted.

``config.json`` holds the classes that the project was made with; each edit is an entry of the log
with all classes from then on, so that it is undone like an answer. Ids never change their meaning:
new classes get the next ids, and a merged class keeps its id, which then counts as that of another
class, or as none if it is deleted. So no answer is rewritten; its class ids are translated by the
classes in force.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats.classes import check_classes, live_classes, meanings
from napari_al.methods.queries import Answer, AutomaticCorrection
from napari_al.session.log.log import AnnotationLog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_al.formats.classes import ClassInfo
    from napari_al.learning.segmenter import Segmenter
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project

Said = TypeVar("Said", Answer, AutomaticCorrection)


def checked_edit(
    before: Sequence[ClassInfo], after: Sequence[ClassInfo], used: Collection[int]
) -> tuple[ClassInfo, ...]:
    """Return the classes after an edit, if the ids that answers may hold keep their meaning.

    Parameters
    ----------
    before, after : sequence of ClassInfo
    used : collection of int
        Ids that cannot be deleted: of classes that answers or labels to correct name.

    Raises
    ------
    InputError
        If an id is gone, a class in use is deleted, two classes have one name, or fewer than two
        are left.
    """
    classes = check_classes(list(after), "the classes")
    if len(classes) < len(before):
        raise InputError(
            f"a class cannot be removed, for answers may name it; the {len(before)} classes there "
            f"are were expected, got {len(classes)}: merge it into another instead"
        )
    for c in classes:
        if c.is_deleted and c.id in used:
            raise InputError(
                f"{c.name!r} cannot be deleted, for answers or labels to correct name it; merge it "
                "into another class instead"
            )
    if len(live_classes(classes)) < 2:
        raise InputError("at least two classes have to be left; add one before you merge these")
    return classes


def classes_in_use(
    answers: Iterable[Answer], corrections: Iterable[AutomaticCorrection]
) -> set[int]:
    """Return the ids of classes that records in force give, or are about."""
    used = {c for answer in answers for c in (*answer.class_ids, answer.query.pseudo_label)}
    used |= {c for record in corrections for c in (record.old_class, record.new_class)}
    return {c for c in used if c is not None}


def with_classes(config: ProjectConfig, edited: tuple[ClassInfo, ...] | None) -> ProjectConfig:
    """Return a project's config with the classes in force, None = those it was made with."""
    return config if edited is None else config.model_copy(update={"classes": edited})


def read_config_in_force(project: Project) -> ProjectConfig:
    """Read a project's config, with the classes as they were edited last."""
    config = project.read_config()
    if not project.log_file.is_file():
        return config
    with AnnotationLog(project.log_file, read_only=True) as log:
        return with_classes(config, log.classes())


def as_counted(records: Sequence[Said], classes: Sequence[ClassInfo]) -> tuple[Said, ...]:
    """Return answers or automatic corrections in terms of the classes in force."""
    if len(live_classes(classes)) == len(classes):
        return tuple(records)
    counts_as = meanings(classes)
    return tuple(_as_counted(record, counts_as) for record in records)


def _as_counted(record: Said, counts_as: Sequence[int]) -> Said:
    if isinstance(record, AutomaticCorrection):
        old, new = (_meaning(c, counts_as) for c in (record.old_class, record.new_class))
        same = (old, new) == (record.old_class, record.new_class)
        return record if same else replace(record, old_class=old, new_class=new)
    query = record.query
    label, predicted = (
        None if c is None or (meaning := _meaning(c, counts_as)) == IGNORE else meaning
        for c in (query.pseudo_label, query.predicted)
    )
    class_ids = tuple(sorted({_meaning(c, counts_as) for c in record.class_ids}))
    same_query = (label, predicted) == (query.pseudo_label, query.predicted)
    if same_query and set(class_ids) == set(record.class_ids):
        return record  # pieces name no other classes
    return replace(
        record,
        query=replace(query, pseudo_label=label, predicted=predicted),
        class_ids=class_ids,
        pieces=tuple(replace(p, class_id=_meaning(p.class_id, counts_as)) for p in record.pieces),
    )


def _meaning(class_id: int, counts_as: Sequence[int]) -> int:
    return counts_as[class_id] if class_id < len(counts_as) else class_id


def load_model(file: Path, classes: Sequence[ClassInfo]) -> Segmenter:
    """Read a model of a project and fit it to the classes in force (``class_rows.py``)."""
    from napari_al.learning.networks.class_rows import fit_classes
    from napari_al.learning.weights import load_segmenter

    segmenter = load_segmenter(file)
    fit_classes(segmenter, len(classes), merges(classes))
    return segmenter


def merges(classes: Sequence[ClassInfo]) -> dict[int, int]:
    """Return what each merged or deleted class counts as; of others nothing."""
    return {c.id: c.merged_into for c in classes if c.merged_into is not None}


def fitted_features(
    features: NDArray[np.float32], classes: Sequence[ClassInfo]
) -> NDArray[np.float32]:
    """Return (n, C') mean probabilities of an older table as (n, C) of the classes in force."""
    import numpy as np

    fitted = np.zeros((len(features), len(classes)), np.float32)
    for class_id, counts_as in enumerate(meanings(classes)[: features.shape[1]]):
        if counts_as != IGNORE:
            fitted[:, counts_as] += features[:, class_id]
    if any(c.is_deleted for c in classes):
        fitted /= np.maximum(fitted.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return fitted
