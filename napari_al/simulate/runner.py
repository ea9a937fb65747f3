"""A run without a window: an oracle answers and the model is trained, round by round.

The project folder holds everything, so a run that was stopped at any moment goes on where it was
and ends with the same figures as an unbroken one on the same machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_al.errors import InputError
from napari_al.formats.dataset import DataFolder
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import differences, image_rules, make_config, merged
from napari_al.session.rounds.job_function import JobProgress
from napari_al.session.session import Session
from napari_al.simulate.confusion import confusion_of
from napari_al.simulate.initial_labels import prepare_initial
from napari_al.simulate.oracle import Oracle
from napari_al.simulate.supervised import SUPERVISED
from napari_al.simulate.truth import check_has_truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_al.methods.table import Method
    from napari_al.session.project.config import ProjectConfig
    from napari_al.simulate.oracle import Annotator

_LOG: Final = logging.getLogger(__name__)

OnProgress = Callable[[int, JobProgress], None]
"""Called with the round and how far it is; the stage ``answers`` counts clicks."""
OnRound = Callable[["dict[str, str]"], None]
"""Called with each new row of ``rounds.csv``."""


def run_simulation(
    data: DataFolder | Path | str,
    method: str | Method | None,
    *,
    n_rounds: int,
    out: Path | str,
    budget: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    annotator: Annotator | None = None,
    cluster: str = "",
    on_progress: OnProgress = lambda _round, _progress: None,
    on_round: OnRound = lambda _row: None,
) -> list[dict[str, str]]:
    """Run a method with a simulated annotator, or go on with a run that was stopped.

    Parameters
    ----------
    data
        A data folder with ground truth.
    method
        A row of ``METHODS``, its name, or a new combination of columns.
    n_rounds
        Batches of queries, each with a training after it.
    out
        Project folder: a new one, or that of the same run to go on with.
    budget
        Clicks a round; by default what ``settings`` or the defaults say. So is ``seed``.
    settings
        Other settings, nested: ``{"training": {"steps": 50}}``.
    annotator
        What answers, any object with ``answer(query)``; by default an `Oracle` as the settings
        describe it.
    cluster
        What trains and scores, as of `Session`; by default, this process.
    on_progress, on_round
        See ``OnProgress`` and ``OnRound``.

    Returns
    -------
    list of dict
        The rows of ``rounds.csv``.

    Raises
    ------
    InputError
        For data without ground truth, settings that cannot be used, or a project in ``out`` that
        was made with others (it says which).
    """
    if n_rounds < 1:
        raise InputError(f"a run has at least 1 round, got {n_rounds}")
    given = {"budget": budget, "seed": seed}
    fields = merged(settings or {}, {k: v for k, v in given.items() if v is not None})
    if not isinstance(data, DataFolder):
        data = DataFolder.open(
            Path(data),
            skip_broken=bool(fields.get("skip_broken", False)),
            rules=image_rules(fields),
            check_labels=not (Path(out) / "config.json").exists(),  # they were when it began
        )
    config = make_config(data, fields, method)
    return run_config(
        data,
        config,
        n_rounds,
        Path(out),
        annotator=annotator,
        cluster=cluster,
        on_progress=on_progress,
        on_round=on_round,
    )


def run_config(
    data: DataFolder,
    config: ProjectConfig,
    n_rounds: int,
    out: Path,
    *,
    annotator: Annotator | None = None,
    cluster: str = "",
    on_progress: OnProgress = lambda _round, _progress: None,
    on_round: OnRound = lambda _row: None,
) -> list[dict[str, str]]:
    """Do what ``run_simulation`` does, for a config that is made already.

    A fully supervised run (``supervised.py``) is trained as many times, without a query.
    """
    check_run(data, config, has_annotator=annotator is not None)
    with open_run(out, config, cluster=cluster) as session:
        prepare_initial(
            session.project, config, session.data, lambda step: on_progress(session.round, step)
        )
        if config.method == SUPERVISED:
            while session.round < n_rounds:
                _train(session, on_progress, on_round)
        else:
            answering = annotator or oracle_of(session.data, config)
            while session.round <= n_rounds and _answer_round(session, answering, on_progress):
                _train(session, on_progress, on_round)
        rows = session.rounds()
    from napari_al.simulate.curves import draw_run

    draw_run(rows, out / "curve.png")
    return rows


def open_run(out: Path, config: ProjectConfig, *, cluster: str = "") -> Session:
    """Open the run in ``out`` to go on with it, or begin one.

    Raises
    ------
    InputError
        If there is a run with other settings.
    """
    if holds_run(out, config):
        return Session.open(out, cluster=cluster)
    return Session.create(out, config, cluster=cluster)


def holds_run(out: Path, config: ProjectConfig) -> bool:
    """Whether there is a run with these settings; False if there is no project.

    Raises
    ------
    InputError
        If there is a run with other settings.
    """
    if not (out / "config.json").exists():
        return False
    other = differences(Project.open(out, read_only=True).read_config(), config)
    if other:
        raise InputError(
            f"{out} holds a run with other settings: {'; '.join(other)}. Name another folder, or "
            "the same settings to go on with it"
        )
    return True


def oracle_of(data: DataFolder, config: ProjectConfig) -> Oracle:
    """Return the annotator that a project's settings describe."""
    settings = config.oracle
    return Oracle(
        data,
        seed=config.seed,
        confusion=confusion_of(settings.error_rate, settings.confusions, data),
        trim_px=settings.trim_px,
        correction_rule=settings.correction_rule,
        first_pair=settings.first_pair,
    )


def check_run(data: DataFolder, config: ProjectConfig, *, has_annotator: bool = False) -> None:
    """Check before a run what would otherwise fail at its first training.

    Raises
    ------
    InputError
        Which says what that is.
    """
    from napari_al.learning.devices import resolve_device
    from napari_al.learning.networks.pretrained import find_weights

    if not has_annotator:
        check_has_truth(data)
    resolve_device(config.training.device)
    find_weights(config.training.segmenter, config.training.weights)
    starts = config.method.starts_from_labels and config.initial.source == "initial_labels"
    if starts and not data.has_some("initial_labels"):
        raise InputError(
            f"{config.method.name} corrects labels that are there, and {data.path} has no "
            "train/initial_labels; add them, or use --init noisy or --init model"
        )


def _answer_round(session: Session, annotator: Annotator, on_progress: OnProgress) -> bool:
    """Answer until the budget is spent; False if there was nothing to ask."""
    if session.round == 0:  # the model of the initial labels comes before the first query
        return True
    session.prepare(lambda step: on_progress(session.round, step))
    while (query := session.query()) is not None:
        session.submit(annotator.answer(query))
        on_progress(
            session.round,
            JobProgress("answers", session.clicks_in_round, session.budget),
        )
    return session.clicks_in_round > 0


def _train(session: Session, on_progress: OnProgress, on_round: OnRound) -> None:
    number = session.round
    session.train(lambda step: on_progress(number, step))
    row = next(row for row in session.rounds() if row["round"] == str(number))
    _LOG.info("%s, round %d: trained for %s s", session.project.path, number, row["train_s"])
    _LOG.debug("%s, round %d: %s", session.project.path, number, row)
    on_round(row)
