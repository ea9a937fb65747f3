"""The one error a user can cause and mend, and kinds of it with remedies of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class InputError(ValueError):
    """Input that cannot be used.

    The message is one or two sentences for the person at the screen: what was expected, what came,
    what to do. The command line prints it and exits with 2; the dock shows it.
    """


class BrokenDataError(InputError):
    """Files of a data folder that cannot be used; ``fault`` says which and why.

    How to open the folder without them depends on where it is opened: ``instead`` says so to who
    writes Python; the command line and the dock have words of their own.
    """

    def __init__(self, fault: str, instead: str = "open with skip_broken=True") -> None:
        super().__init__(f"{fault} Mend or remove it, or {instead} to leave it out.")
        self.fault = fault


class MissingDataError(InputError):
    """The data folder of a project is not where it was.

    Attributes
    ----------
    project : Path
    """

    def __init__(self, project: Path, data: Path) -> None:
        super().__init__(
            f"The images of {project} are not in {data} any more; tell it their new place: "
            f"napari-al relocate {project} DATA"
        )
        self.project = project
