"""Commands about trained models: ``export-model``, ``predict``, ``download``."""

from pathlib import Path
from typing import Annotated

import typer

from napari_al.commands.options import Cluster, Device, SkipBroken
from napari_al.errors import InputError
from napari_al.terminal import progress_bar

ModelPath = Annotated[
    Path,
    typer.Argument(help="a project (its newest model), an exported model, a .safetensors file"),
]


def export_model(
    model: ModelPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the files go")],
    onnx: Annotated[bool, typer.Option("--onnx", help="also write it as ONNX")] = False,
    bioimageio: Annotated[
        bool, typer.Option("--bioimageio", help="also write it as a package of bioimage.io")
    ] = False,
    licence: Annotated[
        str | None, typer.Option(metavar="SPDX", help="of that package, e.g. CC-BY-4.0")
    ] = None,
    authors: Annotated[
        list[str] | None,
        typer.Option("--author", metavar="NAME", help="of that package; again for more"),
    ] = None,
) -> None:
    """Write a trained model with its classes, for `predict` and other programs."""
    from napari_al.tools import export_model
    from napari_al.tools.bioimageio_package import Publication
    from napari_al.tools.trained_model import open_model

    publication = None
    if bioimageio:
        if not licence or not authors:
            raise InputError(
                "a package of bioimage.io names its licence and authors: "
                "--licence CC-BY-4.0 --author 'NAME'"
            )
        publication = Publication(licence, authors)
    export_model.export_model(open_model(model), out, onnx=onnx, publication=publication)
    typer.echo(str(out))


def predict(
    model: ModelPath,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGES...", help="pictures, OME-Zarr folders, or folders of them"),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="a new folder, or one to go on in")],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="also write them, as OME-Zarr")
    ] = False,
    device: Device = None,
    skip_broken: SkipBroken = False,
    cluster: Cluster = None,
) -> None:
    """Write class maps of images of any size."""
    from napari_al.session.rounds.cluster import using
    from napari_al.tools.predict import predict_images
    from napari_al.tools.trained_model import open_model

    with using(cluster) as workers, progress_bar("part") as show:
        left_out = predict_images(
            open_model(model),
            images,
            out,
            device=device or "auto",
            probabilities=probabilities,
            skip_broken=skip_broken,
            cluster=workers,
            on_progress=show,
        )
    for reason in left_out.values():
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(str(out))


def download(
    name: Annotated[
        str, typer.Argument(help="a segmenter of `napari-al methods --segmenters`, or a hub id")
    ],
) -> None:
    """Fetch a model's pretrained weights, once; all else works without network."""
    from napari_al.learning.networks import pretrained

    typer.echo(pretrained.download(name))
