"""Exports from a session: label files, the model, the table of costs, a script that repeats it.

Slow exports run in a thread or a child process; the export panel shows how they ended. Labels are
prepared in a temporary folder, from which they are written and opened as layers.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_al.plugin.control.answer_statistics import count
from napari_al.plugin.widgets.background import Background
from napari_al.session.rounds.job_runner import JobRunner

if TYPE_CHECKING:
    from napari_al.errors import InputError
    from napari_al.formats.exchange.export import Format
    from napari_al.plugin.annotate.annotate_page import AnnotatePage
    from napari_al.plugin.layers.displayed_image import ImageDisplay
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
        self._jobs = JobRunner(dispatch)
        self._prepared: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Kill the job; what a thread writes is finished, but not reported."""
        self._jobs.discard()
        self._background.close()
        self._drop_prepared()

    def prepare_labels(self, session: Session, source: Source, uncertainty: bool) -> None:
        """Make and count the labels in a child process; then ask whether to write them."""
        panel = self._page.export
        if not session.save():
            panel.show_result(
                f"{count(session.n_unsaved, 'answer')} could not be written to disk yet and would "
                "be missing; export when they are."
            )
            return
        self._drop_prepared()
        self._prepared = tempfile.TemporaryDirectory(prefix="napari-al-export-")
        folder = self._prepared.name
        panel.show_busy("Making the labels…")
        self._jobs.start(
            "napari_al.tools.export_labels:prepare_job",
            {
                "project": str(session.project.path),
                "folder": folder,
                "source": source,
                "uncertainty": uncertainty,
            },
            on_finished=lambda result: self._on_prepared(Path(folder), result),
            on_progress=lambda progress: panel.show_progress(progress.done, progress.total),
        )

    def _on_prepared(self, folder: Path, result: JobResult) -> None:
        from napari_al.tools.prepared_export import PreparedExport

        panel = self._page.export
        if result.status == "done":
            panel.ask("\n".join(PreparedExport.open(folder).summary.lines()))
        else:
            panel.show_result("" if result.status == "stopped" else result.reason)

    def write_labels(self, format: Format, folder: Path, overwrite: bool) -> None:
        """Write what was prepared, in a child process."""
        panel, prepared = self._page.export, self._prepared
        if prepared is None:
            return
        panel.show_busy("Writing…")

        def on_finished(result: JobResult) -> None:
            written = count(result.value.get("n_images", 0), "image")
            done = result.status == "done"
            panel.show_result(
                f"{written} written to {folder}." if done else result.reason, has_labels=done
            )

        self._jobs.start(
            "napari_al.tools.export_labels:write_job",
            {
                "prepared": prepared.name,
                "folder": str(folder),
                "format": format,
                "overwrite": overwrite,
            },
            on_finished=on_finished,
            on_progress=lambda progress: panel.show_progress(progress.done, progress.total),
        )

    def stop(self) -> None:
        """End what is running."""
        self._jobs.discard()
        self._page.export.show_result("Stopped.")

    def on_project_closed(self) -> None:
        """End what is running, and forget what was prepared."""
        self._jobs.discard()
        self._drop_prepared()

    def open_layer(self, display: ImageDisplay) -> None:
        """Open the exported labels of the image on screen as a layer of the user's."""
        from napari_al.tools.prepared_export import PreparedExport

        if self._prepared is None or not display.image:
            return
        image, prepared = display.image, PreparedExport.open(Path(self._prepared.name))
        self._background.request(
            "layer",
            partial(prepared.class_map, image),
            lambda ids: display.layers.add_labels(f"{image} labels", ids, prepared.classes),
            self._show_error,
        )

    def _drop_prepared(self) -> None:
        if self._prepared is not None:
            self._prepared.cleanup()
            self._prepared = None

    def export_model(self, session: Session, folder: Path, onnx: bool) -> None:
        """Write the newest model, in a child process that loads torch."""
        panel = self._page.export

        def on_finished(result: JobResult) -> None:
            done = f"The model of {result.value.get('model')} is in {folder}."
            panel.show_result(result.reason or done)

        panel.show_busy("Writing…")
        self._jobs.start(
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
