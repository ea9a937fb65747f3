"""What leaves a session: label files, the model, the table of costs, a script that repeats it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from napari_al.errors import InputError
from napari_al.session.rounds.job_process import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_al.formats.export import Format
    from napari_al.plugin.annotate.annotate_page import AnnotatePage
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.tools.export_labels import Source


class Leaving:
    """Writes what the page to answer on asks for.

    Parameters
    ----------
    bench : Workbench
    page : AnnotatePage
    """

    def __init__(self, bench: Workbench, page: AnnotatePage) -> None:
        self._bench, self._page = bench, page
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leaving")
        self._job: Job | None = None
        self._closed = False

    def close(self, *_: object) -> None:
        """End the thread and the job; what is under way ends unheard."""
        self._closed = True
        if self._job is not None:
            self._job.abandon()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def export(self, format: Format, source: Source, folder: Path) -> None:
        """Write labels, in a thread."""
        from napari_al.tools.export_labels import export_session

        session = self._bench.session
        if session is not None:
            self._page.export.show_busy()
            future = self._pool.submit(export_session, session, format, source, folder)
            future.add_done_callback(
                lambda done: self._then(lambda: self._on_exported(done, folder))
            )

    def _on_exported(self, done: Future[int], folder: Path) -> None:
        panel, error = self._page.export, done.exception()
        if error is None:
            panel.show_result(f"{done.result()} images written to {folder}.")
            return
        panel.show_result(str(error))
        if not isinstance(error, InputError | OSError):
            raise error

    def export_model(self, folder: Path, onnx: bool) -> None:
        """Write the newest model, in a process of its own: torch takes its time."""
        session = self._bench.session
        if session is not None:
            self._page.export.show_busy()
            self._job = Job(
                "napari_al.tools.export_model:export_newest_model",
                {"project": str(session.project.path), "out": str(folder), "onnx": onnx},
                on_finished=lambda result: self._then(
                    lambda: self._page.export.show_result(
                        result.reason or f"The model of {result.value['model']} is in {folder}."
                    )
                ),
            )
            self._job.start()

    def save_costs(self, path: Path) -> None:
        """Write one row an answer, in a thread."""
        from napari_al.plugin.control.answer_statistics import to_csv

        session = self._bench.session
        if session is not None:
            future = self._pool.submit(to_csv, session.answers(), session.config.classes)
            future.add_done_callback(
                lambda done: self._then(lambda: self._write(path, done.result()))
            )

    def save_script(self, path: Path) -> None:
        """Write a Python script that does again what was done."""
        from napari_al.tools.replay import script_of

        session = self._bench.session
        if session is not None:
            self._write(path, script_of(session))

    def _then(self, call: Callable[[], None]) -> None:
        """Show something on the window's thread, if the page is there by then."""
        self._bench.dispatch(lambda: None if self._closed else call())

    def _write(self, path: Path, words: str) -> None:
        try:
            path.write_text(words, encoding="utf-8")
        except OSError as error:
            self._page.show_message(f"{path} could not be written: {error.strerror}.")
        else:
            self._page.show_message(f"{path} is written.")
