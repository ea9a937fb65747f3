"""*Help > Copy diagnostics*: the report of ``napari-al doctor``, for whoever reports a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    import napari

    from napari_al.errors import InputError
    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.tools.doctor import Finding

TITLE = "Copy diagnostics (napari-al)"


class Diagnostics:
    """The menu entry of one viewer; the checks run in a thread, for they take seconds."""

    def __init__(self, viewer: napari.Viewer, dispatch: Dispatch) -> None:
        self._background = Background(dispatch, n_threads=1)
        self._menu = viewer.window.help_menu
        self.action = self._menu.addAction(TITLE)
        self.action.triggered.connect(lambda _=False: self.copy())

    def copy(self) -> None:
        """Examine this machine, and put the report on the clipboard."""
        from napari_al.tools.doctor import examine

        self._background.request("examine", examine, _put_on_clipboard, _show_error)

    def close(self) -> None:
        """Take the entry away."""
        self._background.close()
        self._menu.removeAction(self.action)


def _put_on_clipboard(findings: list[Finding]) -> None:
    from napari.utils.notifications import show_info

    from napari_al.tools.doctor import as_text

    QApplication.clipboard().setText(as_text(findings))
    n_problems = sum(finding.level == "problem" for finding in findings)
    show_info(f"The diagnostics are on the clipboard; problems found: {n_problems}.")


def _show_error(error: InputError | OSError) -> None:
    from napari.utils.notifications import show_error

    show_error(str(error))
