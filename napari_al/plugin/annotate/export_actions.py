"""Exports from a session: label files, the model, the table of costs, a script that repeats it.

Slow exports run in a thread or a child process; the export panel shows how they ended.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_al.plugin.control.child_job import ChildJob
from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.errors import InputError
    from napari_al.formats.exchange.export import Format
    from napari_al.plugin.annotate.annotate_page import AnnotatePage
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.rounds.job_function import JobResult
    from napari_al.session.session import Session
    from napari_al.tools.export_labels import Source


class Exporter:
    """Writes what the annotation page asks for.

    Parameters
    ----------
    page : AnnotatePage
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(self, page: AnnotatePage, dispatch: Dispatch) -> None:
        self._page = page
        self._background = Background(dispatch, n_threads=1)
        self._job = ChildJob(dispatch)

    def close(self) -> None:
        """Kill the job; what a thread writes is finished, but not reported."""
        self._job.abandon()
        self._background.close()

    def export_labels(self, session: Session, format: Format, source: Source, folder: Path) -> None:
        """Write labels, in a thread."""
        from napari_al.tools.export_labels import export_session

        panel = self._page.export
        panel.show_busy()
        self._background.request(
            "labels",
            partial(export_session, session, format, source, folder),
            lambda n_images: panel.show_result(f"{n_images} images written to {folder}."),
            lambda error: panel.show_result(str(error)),
        )

    def export_model(self, session: Session, folder: Path, onnx: bool) -> None:
        """Write the newest model, in a child process that loads torch."""
        panel = self._page.export

        def on_finished(result: JobResult) -> None:
            done = f"The model of {result.value.get('model')} is in {folder}."
            panel.show_result(result.reason or done)

        panel.show_busy()
        self._job.start(
            "napari_al.tools.export_model:export_newest_model",
            {"project": str(session.project.path), "out": str(folder), "onnx": onnx},
            on_finished=on_finished,
        )

    def save_costs(self, session: Session, path: Path) -> None:
        """Write one row per answer, in a thread."""
        from napari_al.plugin.control.answer_statistics import to_csv

        work = partial(to_csv, session.answers(), session.config.classes)
        self._background.request("costs", work, partial(self._write, path), self._show_error)

    def save_script(self, session: Session, path: Path) -> None:
        """Write a Python script that repeats the session."""
        from napari_al.tools.replay import script_of

        self._write(path, script_of(session))

    def _write(self, path: Path, content: str) -> None:
        try:
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            self._page.show_message(f"{path} could not be written: {error.strerror}.")
        else:
            self._page.show_message(f"{path} is written.")

    def _show_error(self, error: InputError | OSError) -> None:
        self._page.show_message(str(error))
