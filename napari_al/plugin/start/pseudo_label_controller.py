"""Initial labels made from the start page, in a child process: by a model, or Grounded-SAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.rounds.job_runner import JobRunner

if TYPE_CHECKING:
    from napari_al.plugin.start.session_opener import SessionOpener
    from napari_al.plugin.start.start_page import StartPage
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.rounds.job_function import JobResult


class PseudoLabelController:
    """Starts and stops the job of the box for initial labels.

    Parameters
    ----------
    page : StartPage
    opener : SessionOpener
        Shows the new data folder in the end.
    dispatch : callable
        Runs a function on the window's thread.
    """

    def __init__(self, page: StartPage, opener: SessionOpener, dispatch: Dispatch) -> None:
        self._page, self._opener = page, opener
        self._jobs = JobRunner(dispatch)

    def close(self) -> None:
        """Kill the job; the labels made so far are kept."""
        self._jobs.discard()

    def make(self, chosen: dict[str, Any]) -> None:
        """Make labels of the classes on the page."""
        box = self._page.pseudo_labels
        try:
            if self._page.class_list.entry.text().strip():
                self._page.class_list.add_typed()
            own = self._page.class_list
            is_left_to_model = "model" in chosen and not own.n_classes
            classes = [] if is_left_to_model else [c.model_dump() for c in own.classes()]
        except InputError as error:
            box.show_idle(str(error))
            return
        box.show_busy()
        self._jobs.start(
            "napari_al.tools.pseudo_label:pseudo_label",
            {**chosen, "classes": classes, "device": self._page.device},
            on_progress=box.show_progress,
            on_finished=lambda result: self._on_finished(result, chosen["out"]),
        )

    def stop(self) -> None:
        """Stop the job."""
        self._jobs.stop()

    def _on_finished(self, result: JobResult, out: str) -> None:
        box = self._page.pseudo_labels
        if result.status != "done":
            box.show_idle(result.reason)
            return
        box.show_idle(f"{result.value['n_images']} images have labels to correct: {out}")
        self._opener.look(Path(out))
