"""Commands about labels: ``export``, ``import``, ``relocate``, ``pseudo-label``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_al.commands.options import Device, SkipBroken
from napari_al.errors import InputError
from napari_al.terminal import progress_bar

if TYPE_CHECKING:
    from napari_al.formats.classes import ClassInfo
    from napari_al.tools.prepared_export import ExportSummary

Format = Literal["png", "coco", "voc", "cityscapes", "yolo", "labelme", "geotiff", "ngff"]
ImportFormat = Literal[
    "index", "colours", "voc", "coco", "cityscapes", "labelme", "yolo", "geotiff", "ngff"
]


def export(
    project: Annotated[Path, typer.Argument(help="a project, or the folder of a run")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="where the files go")] = None,
    format: Annotated[Format, typer.Option(help="class-index PNG, or ...")] = "png",
    source: Annotated[
        Literal["finished", "targets", "predictions", "answers"],
        typer.Option(
            help="the answers over what the model predicts; what was trained on, and answered "
            "since; what the model predicts; the answers alone"
        ),
    ] = "finished",
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="also write how unsure the model is, as PNG")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace an earlier export of this format in DIR")
    ] = False,
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write a Python script that repeats all that was done"),
    ] = None,
) -> None:
    """Write a project's labels as files of other programs, or a script that repeats its answers."""
    from napari_al.session.session import Session
    from napari_al.tools.export_labels import export_session
    from napari_al.tools.replay import script_of

    if out is None and script is None:
        raise InputError("name a folder with --out DIR, or a file with --script FILE")
    with Session.open(project, read_only=True) as session:
        if out is not None:
            with progress_bar("image") as show:
                n_images = export_session(
                    session,
                    format,
                    source,
                    out,
                    overwrite=overwrite,
                    uncertainty=uncertainty,
                    on_summary=_echo_summary,
                    on_progress=show,
                )
            typer.echo(f"{n_images} images: {out}")
        if script is not None:
            script.write_text(script_of(session), encoding="utf-8")
            typer.echo(script)


def _echo_summary(summary: "ExportSummary") -> None:
    for line in summary.lines():
        typer.echo(line, err=True)


def import_(
    format: Annotated[ImportFormat, typer.Argument(help="what wrote the labels")],
    source: Annotated[Path, typer.Argument(help="a folder of labels, or COCO's JSON file")],
    out: Annotated[
        Path, typer.Option(metavar="DATA", help="a new data folder; for answers, a project")
    ],
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the images", show_default="beside the labels"),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="where the source has none: names, or a classes.json"),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="VALUE=CLASS", help="what a stored value means ('ignore': no label)"
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="of pixels without a label", show_default="none"),
    ] = None,
    kind: Annotated[
        Literal["labels", "initial_labels", "answers"],
        typer.Option("--as", help="ground truth, labels to correct, or answers given already"),
    ] = "labels",
) -> None:
    """Make a data folder of labels that another program wrote, or take them as answers."""
    from napari_al.tools.import_labels import import_answers, import_labels

    values = dict(_value(text) for text in table or [])
    if kind == "answers":
        if images is not None or classes is not None:
            raise InputError("--images and --classes do not go with answers: the project has them")
        from napari_al.session.session import Session

        with Session.open(out) as session:
            given = import_answers(session, format, source, table=values, background=background)
        _echo_notes(given.notes)
        typer.echo(f"{given.n_answers} answers on {given.n_images} images: {out}")
        return
    with progress_bar("image") as show:
        done = import_labels(
            format,
            source,
            out,
            images=images,
            classes=_classes_of(classes),
            table=values,
            background=background,
            kind=kind,
            on_progress=lambda n: show(n, n),
        )
    _echo_notes(done.notes)
    names = ", ".join(c.name for c in done.classes)
    typer.echo(f"{done.n_images} images, {len(done.classes)} classes ({names}): {out}")


def _echo_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _classes_of(text: str | None) -> "tuple[ClassInfo, ...] | None":
    from napari_al.formats.classes import default_classes, read_classes

    if text is None:
        return None
    if text.endswith(".json"):
        return read_classes(Path(text))
    return default_classes([name.strip() for name in text.split(",") if name.strip()])


def _value(text: str) -> tuple[int, str]:
    value, equals, name = text.partition("=")
    if not equals or not name.strip() or not value.strip().lstrip("-").isdecimal():
        raise InputError(f"--map expects VALUE=CLASS, e.g. 255=ignore; got {text!r}")
    return int(value), name.strip()


def relocate(
    project: Annotated[Path, typer.Argument(help="a project")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="where its data folder is now")],
) -> None:
    """Tell a project where its data folder is now, if it holds the same images."""
    from napari_al.tools.relocate import relocate

    typer.echo(f"{relocate(project, data)} images found: {data}")


def pseudo_label(
    data: Annotated[Path, typer.Argument(help="a data folder, or a folder of images")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="a new data folder, or one to go on with")
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="names with commas, or a classes.json", show_default="DATA's own"
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="what all else is; not looked for", show_default="none"),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=WORDS", help="look for a class by other words, e.g. plant='tree. bush'"
        ),
    ] = None,
    box_threshold: Annotated[
        float | None, typer.Option(help="a box has to score more (0 to 1)", show_default="0.2")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Grounding DINO: a folder or a hub id",
            show_default="IDEA-Research/grounding-dino-tiny",
        ),
    ] = None,
    mask_maker: Annotated[
        str | None,
        typer.Option(
            "--sam", help="SAM or SAM 2: a folder or a hub id", show_default="facebook/sam-vit-huge"
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="a trained model instead: a .safetensors file, a project or an exported folder"
        ),
    ] = None,
    device: Device = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Make labels to correct from the names of the classes, by Grounded-SAM, or by a model."""
    from napari_al.tools import pseudo_label

    given = {
        "background": background,
        "box_threshold": box_threshold,
        "detector": detector,
        "mask_maker": mask_maker,
        "device": device,
        "model": None if model is None else str(model),
    }
    of_model = model is not None and classes is None and not (data / "classes.json").exists()
    named = () if of_model else pseudo_label.classes_named(classes, data)
    args = {
        "data": str(data),
        "out": str(out),
        "classes": [c.model_dump() for c in named],
        "words": dict(_pair(text) for text in words or []),
        "skip_broken": skip_broken,
        **{name: value for name, value in given.items() if value is not None},
    }
    with progress_bar("image") as show:
        done = pseudo_label.pseudo_label(args, lambda p: show(p.done, p.total), lambda: False)
    typer.echo(
        f"{done['n_images']} images, {done['n_made']} of them labelled now, "
        f"{done['n_empty']} of these without objects: {out}"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InputError(f"--words expects CLASS=WORDS, e.g. plant='tree. bush'; got {text!r}")
    return name.strip(), value.strip()
