"""List methods and settings: ``methods``."""

from typing import Annotated

import typer

from napari_al.terminal import echo_table


def methods(
    settings: Annotated[
        bool, typer.Option("--settings", help="list what --set takes instead")
    ] = False,
    segmenters: Annotated[
        bool, typer.Option("--segmenters", help="list what --segmenter takes instead")
    ] = False,
) -> None:
    """Show the table of methods."""
    if settings:
        from napari_al.session.project.settings import setting_rows

        echo_table([("setting", "default", ""), *setting_rows()])
        return
    if segmenters:
        from napari_al.learning.networks.catalogue import SEGMENTERS

        echo_table(
            [
                ("segmenter", "million", "weights", "their licence", ""),
                *(
                    (row.name, f"{row.n_million:.1f}", row.hub_id, row.licence, row.summary)
                    for row in SEGMENTERS.values()
                ),
            ]
        )
        return
    from napari_al.methods.table import COLUMNS, METHODS

    columns = ("name", *COLUMNS, "paper", "summary")
    rows = [[getattr(row, column) for column in columns] for row in METHODS.values()]
    echo_table([("method", *columns[1:]), *rows])
