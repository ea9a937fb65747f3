"""``channels.json`` in a project folder: which channels the window shows, and in which colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, TypeAdapter

from napari_al.plugin.layers.channel_view import COLOURS, ChannelChoice
from napari_al.plugin.layers.json_file import read_json
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

NAME = "channels.json"


def write_channels(project: Path, choice: ChannelChoice) -> None:
    """Write the file into a project folder.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    content = TypeAdapter(ChannelChoice).dump_json(choice, indent=1)
    write_atomic(project / NAME, content, durable=False)


def read_channels(project: Path, n_channels: int) -> ChannelChoice | None:
    """Return what was chosen in a project with images of so many channels; None: nothing yet.

    Raises
    ------
    InputError
        If the file cannot be used.
    """

    def check(choice: ChannelChoice) -> ChannelChoice:
        if not len(choice.in_composite) == len(choice.colours) == n_channels:
            raise ValueError("another number of channels")
        if not set(choice.colours) <= set(COLOURS):
            raise ValueError("no colour")
        if choice.in_grey is not None and not 0 <= choice.in_grey < n_channels:
            raise ValueError("no channel")
        return choice

    words = (
        "the channels are shown as in a new project: expected were 'in_grey', a channel or null, "
        f"and {n_channels} values each of 'in_composite' and 'colours' ({', '.join(COLOURS)})"
    )
    return read_json(
        project / NAME, TypeAdapter(Annotated[ChannelChoice, AfterValidator(check)]), words
    )
