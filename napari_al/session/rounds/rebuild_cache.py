"""Rebuild a round's files of a deleted ``cache/``, for inspection.

They are written to the reader's own cache, never into the project, which another program may be
writing to. The steps are those of the round itself, so the results are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_al.session.rounds.encodings import Predictor
from napari_al.session.rounds.job_context import JobContext
from napari_al.session.rounds.scoring import make_scores
from napari_al.session.rounds.training_labels import (
    predictor_of_targets,
    target_images,
    write_pseudo_labels,
    write_target,
)

if TYPE_CHECKING:
    from napari_al.session.rounds.job_context import Progress, ShouldStop


def restore(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> dict[str, Any]:
    """Do the work of a job (``job_function.py``); the image that is looked at comes first.

    Parameters
    ----------
    args : dict
        ``project``, ``round`` and ``log_seq`` as for ``train_round``; ``cache``: where it goes;
        ``what``: see ``inspection.Missing``.
    """
    work = JobContext.of_job({**args, "live": True}, progress, should_stop)
    if args["what"] == "scores":
        make_scores(work)
    else:
        _restore_targets(work)
    return {"left_out": work.left_out}


def _restore_targets(work: JobContext) -> None:
    snapshot = work.snapshot
    predict = predictor_of_targets(work)
    predictor = None
    if snapshot.config.method.targets == "localise":  # has a second stage
        predictor = Predictor(work, snapshot.load_model(work.round))
    for image, error in snapshot.lost_images():
        work.leave_out(image, error)
    images = [image for image in target_images(snapshot) if image not in work.left_out]
    for n_done, image in enumerate(work.turns(images), start=1):
        with work.using(image):
            write_target(work, image, predict)
            if predictor is not None:
                write_pseudo_labels(work, predictor, image)
        work.report("targets", n_done, len(images), published=True)
