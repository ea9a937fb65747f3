"""Initial labels made from the start page, in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_al.errors import InputError
from napari_al.session.rounds.job_process import Job

if TYPE_CHECKING:
    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.start.open_session import Opening
    from napari_al.plugin.start.start_page import StartPage
    from napari_al.session.rounds.job_process import JobResult


class Labelling:
    """Does what the start page's box for initial labels asks for.

    Parameters
    ----------
    bench : Workbench
    page : StartPage
    opening : Opening
        Looks at the new data folder in the end.
    """

    def __init__(self, bench: Workbench, page: StartPage, opening: Opening) -> None:
        self._bench, self._page, self._opening = bench, page, opening
        self._job: Job | None = None

    def close(self, *_: object) -> None:
        """End the job; what it has made is kept."""
        if self._job is not None:
            self._job.abandon()

    def make(self, chosen: dict[str, Any]) -> None:
        """Make labels of the classes on the page."""
        maker = self._page.label_maker
        try:
            if self._page.class_list.entry.text().strip():
                self._page.class_list.add_typed()
            classes = [c.model_dump() for c in self._page.class_list.classes()]
        except InputError as error:
            maker.show_idle(str(error))
            return
        dispatch = self._bench.dispatch
        self._job = Job(
            "napari_al.tools.pseudo_label:pseudo_label",
            {**chosen, "classes": classes, "device": self._page.device},
            on_progress=lambda progress: dispatch(lambda: maker.show_progress(progress)),
            on_finished=lambda result: dispatch(lambda: self._on_finished(result, chosen["out"])),
        )
        maker.show_busy()
        self._job.start()

    def stop(self) -> None:
        """Stop the job."""
        if self._job is not None:
            self._job.stop()

    def _on_finished(self, result: JobResult, out: str) -> None:
        self._job = None
        if result.status != "done":
            self._page.label_maker.show_idle(result.reason)
            return
        self._page.label_maker.show_idle(
            f"{result.value['n_images']} images have labels to correct: {out}"
        )
        self._opening.look(Path(out))
