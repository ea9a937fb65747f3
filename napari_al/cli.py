"""The command line.

Imports as little as it can until a command runs: ``--help`` needs neither torch nor Qt. Input that
cannot be used ends a command with status 2 and one line on stderr, Ctrl-C with 130.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from napari_al.errors import InputError
from napari_al.launch import open_napari, simulate_in_window
from napari_al.terminal import RunProgress, SweepProgress, echo_table, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

_UsageError: Any = typer.BadParameter.__base__  # typer has a click of its own, or shares one


class _Commands(TyperGroup):
    """Turns what a user can cause into one line and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            typer.echo(f"error: {error.format_message()} (see --help)", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("stopped; nothing is lost: the same command goes on from here", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise
        except (InputError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            typer.echo("error: " + " ".join(_message(error).split()), err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Commands,
    help="Active learning for semantic segmentation with cheap clicks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Method = Annotated[str | None, typer.Option(help="a row of `napari-al methods`")]
Budget = Annotated[int | None, typer.Option(min=1, help="clicks a round", show_default="500")]
Seed = Annotated[int | None, typer.Option(min=0, help="of all that is random", show_default="0")]
Segmenter = Annotated[
    str | None,
    typer.Option(
        help="a row of `napari-al methods --segmenters`",
        show_default="compact; in a window filters",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option(help="what trains: a GPU if there is one, or ...", show_default="auto"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="any other setting, e.g. training.steps=50; again for more "
        "(`napari-al methods --settings` lists them)",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="settings and columns of a new method, in TOML or JSON"),
]
ModelPath = Annotated[
    Path,
    typer.Argument(help="a project (its newest model), an exported model, a .safetensors file"),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="leave out images that cannot be read")
]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error comes from")] = False,
    imports: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            metavar="FILE.py",
            help="Python to run first: it registers acquisition functions of your own; again for "
            "more",
        ),
    ] = None,
) -> None:
    """Active learning for semantic segmentation with cheap clicks."""
    for path in imports or []:
        _import(path)


@app.command()
def label(
    path: Annotated[
        Path | None, typer.Argument(metavar="[DATA|PROJECT]", help="a folder to open at once")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where a new project goes")
    ] = None,
    method: Method = None,
    budget: Budget = None,
    seed: Seed = None,
    segmenter: Segmenter = None,
    device: Device = None,
    assignments: Assignments = None,
    config: ConfigFile = None,
    skip_broken: SkipBroken = False,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="look at a project's rounds; nothing is written")
    ] = False,
) -> None:
    """Open napari, ready to annotate."""
    settings = _settings(config, assignments, budget, seed, segmenter, device, skip_broken)
    if inspect and (path is None or not (path / "config.json").is_file()):
        raise InputError(f"--inspect looks at a project, and {path or 'no folder'} is none")
    open_napari(path, project, method, settings, look_only=inspect)


@app.command()
def simulate(
    data: Annotated[Path, typer.Argument(help="a data folder with ground truth")],
    out: Annotated[Path, typer.Option(metavar="PROJECT", help="a new folder, or one to go on in")],
    method: Method = None,
    rounds: Annotated[int, typer.Option(min=1, help="batches of queries")] = 5,
    budget: Budget = None,
    seed: Seed = None,
    segmenter: Segmenter = None,
    device: Device = None,
    init: Annotated[
        Literal["initial_labels", "noisy", "model"] | None,
        typer.Option(
            help="where labels to correct come from: the data folder, ground truth with objects "
            "confused, or a model trained on a few images",
            show_default="initial_labels",
        ),
    ] = None,
    assignments: Assignments = None,
    config: ConfigFile = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Run a method with a simulated annotator, or go on with a run that was stopped."""
    settings = _settings(config, assignments, budget, seed, segmenter, device, skip_broken)
    if init is not None:
        settings["initial"] = {**settings.get("initial", {}), "source": init}
    from napari_al.formats.dataset import DataFolder
    from napari_al.simulate.runner import run_simulation

    folder = DataFolder.open(data, skip_broken=bool(settings.get("skip_broken")))
    for broken in folder.broken:
        typer.echo(f"left out: {broken.reason}", err=True)
    with RunProgress(rounds) as progress:
        run_simulation(
            folder,
            method,
            n_rounds=rounds,
            out=out,
            settings=settings,
            on_progress=progress.show,
            on_round=progress.show_round,
        )
    typer.echo(f"{out / 'rounds.csv'}\n{out / 'curve.png'}")


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="what to run: data, methods, seeds, settings")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where runs and the report go")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="runs at a time", show_default="one a core, or one on a GPU"),
    ] = None,
) -> None:
    """Run methods x seeds x settings from a TOML or JSON file, or go on; ends in a report."""
    from napari_al.simulate.sweep import run_folder, run_sweep
    from napari_al.simulate.sweep_plan import read_sweep

    runs = read_sweep(file)
    with SweepProgress(runs) as progress:
        run_sweep(
            runs, out, jobs=jobs, on_progress=progress.show, on_finished=progress.show_finished
        )
    folders = [run_folder(out, run) for run in runs]
    begun = [folder for folder in folders if (folder / "config.json").exists()]
    _write_report(begun, out / "report")
    if progress.n_failed:
        typer.echo(f"error: {progress.n_failed} of {len(runs)} runs failed", err=True)
        raise typer.Exit(1)


@app.command()
def report(
    projects: Annotated[list[Path], typer.Argument(metavar="PROJECT...", help="runs to compare")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the report goes")],
) -> None:
    """Write figures (PNG, SVG), tables (CSV) and one HTML page about runs, finished or not."""
    _write_report(projects, out)


@app.command()
def export(
    project: Annotated[Path, typer.Argument(help="a project, or the folder of a run")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="where the files go")] = None,
    format: Annotated[
        Literal["png", "coco", "voc", "cityscapes"], typer.Option(help="class-index PNG, or ...")
    ] = "png",
    source: Annotated[
        Literal["targets", "predictions", "answers"],
        typer.Option(help="what was trained on, what the model says, or the answers alone"),
    ] = "targets",
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write a Python script that repeats all that was done"),
    ] = None,
) -> None:
    """Write a project's labels as files of other programs, or a script that repeats its answers."""
    from napari_al.session.exporting import export_session
    from napari_al.session.replay import script_of
    from napari_al.session.session import Session

    if out is None and script is None:
        raise InputError("name a folder with --out DIR, or a file with --script FILE")
    with Session.open(project, read_only=True) as session:
        if out is not None:
            n_images = export_session(session, format, source, out)
            typer.echo(f"{n_images} images: {out}")
        if script is not None:
            script.write_text(script_of(session), encoding="utf-8")
            typer.echo(script)


@app.command()
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
    device: Device = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Make labels to correct from the names of the classes, by Grounded-SAM."""
    from napari_al.session import pseudo_labels

    given = {
        "background": background,
        "box_threshold": box_threshold,
        "detector": detector,
        "mask_maker": mask_maker,
        "device": device,
    }
    args = {
        "data": str(data),
        "out": str(out),
        "classes": [c.model_dump() for c in pseudo_labels.classes_named(classes, data)],
        "words": dict(_pair(text) for text in words or []),
        "skip_broken": skip_broken,
        **{name: value for name, value in given.items() if value is not None},
    }
    with progress_bar("image") as show:
        done = pseudo_labels.pseudo_label(args, lambda p: show(p.done, p.total), lambda: False)
    typer.echo(
        f"{done['n_images']} images, {done['n_made']} of them labelled now, "
        f"{done['n_empty']} of these without objects: {out}"
    )


@app.command()
def export_model(
    model: ModelPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the files go")],
    onnx: Annotated[bool, typer.Option("--onnx", help="also write it as ONNX")] = False,
) -> None:
    """Write a trained model with its classes, for `predict` and other programs."""
    from napari_al.session import model_export
    from napari_al.session.models import open_model

    model_export.export_model(open_model(model), out, onnx=onnx)
    typer.echo(str(out))


@app.command()
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
) -> None:
    """Write class maps of images of any size."""
    from napari_al.session.models import open_model
    from napari_al.session.predicting import predict_images

    with progress_bar("part") as show:
        left_out = predict_images(
            open_model(model),
            images,
            out,
            device=device or "auto",
            probabilities=probabilities,
            skip_broken=skip_broken,
            on_progress=show,
        )
    for reason in left_out.values():
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(str(out))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the project goes")] = Path(
        "demo-project"
    ),
    simulated: Annotated[
        bool, typer.Option("--simulated", help="let ground truth answer, then leave pictures")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="of a simulated annotator")] = 3,
) -> None:
    """Open napari on the sample data, ready to annotate."""
    from napari_al.formats.sample import sample_data_path

    settings: dict[str, Any] = {"budget": 60, "training": {"steps": 80}}
    is_there = (out / "config.json").exists()
    if not simulated:
        path = out if is_there else sample_data_path()
        open_napari(path, out, "classbal", settings)
        return
    simulate_in_window(sample_data_path(), out, rounds, settings)


@app.command()
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
        from napari_al.session.settings import setting_rows

        echo_table([("setting", "default", ""), *setting_rows()])
        return
    if segmenters:
        from napari_al.learning.catalogue import SEGMENTERS

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
    from napari_al.methods import METHODS

    columns = (
        "name", "regions", "merging", "query", "acquisition", "targets", "loss", "correction",
        "classifier", "paper", "summary",
    )  # fmt: skip
    rows = [[getattr(row, column) for column in columns] for row in METHODS.values()]
    echo_table([("method", *columns[1:]), *rows])


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="a segmenter of `napari-al methods --segmenters`, or a hub id")
    ],
) -> None:
    """Fetch a model's pretrained weights, once; all else works without network."""
    from napari_al.learning import pretrained

    typer.echo(pretrained.download(name))


# ---- inside


def _import(path: Path) -> None:
    """Import a file as a module that child processes find, too."""
    if path.suffix != ".py" or not path.is_file():
        raise InputError(f"--import expects a Python file, got {path}")
    sys.path.insert(0, str(path.resolve().parent))
    module = importlib.import_module(path.stem)
    if module.__file__ is None or not path.samefile(module.__file__):
        raise InputError(
            f"--import {path}: there is another module {path.stem!r} already; give the file "
            "another name"
        )


def _settings(
    config: Path | None,
    assignments: list[str] | None,
    budget: int | None,
    seed: int | None,
    segmenter: str | None,
    device: str | None,
    skip_broken: bool,
) -> dict[str, Any]:
    """Nested settings: those of the file, changed by ``--set``, changed by the other options."""
    from napari_al.session.settings import merged, parse_assignments, read_settings

    training = {"segmenter": segmenter, "device": device}
    options = {
        "budget": budget,
        "seed": seed,
        "skip_broken": skip_broken or None,
        "training": {name: value for name, value in training.items() if value is not None},
    }
    return merged(
        read_settings(config) if config else {},
        parse_assignments(assignments or []),
        {name: value for name, value in options.items() if value is not None},
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InputError(f"--words expects CLASS=WORDS, e.g. plant='tree. bush'; got {text!r}")
    return name.strip(), value.strip()


def _message(error: InputError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _write_report(projects: Sequence[Path], out: Path) -> None:
    from napari_al.simulate.report import write_report

    with progress_bar("run") as show:
        page = write_report(projects, out, on_progress=show)
    typer.echo(page)


def main() -> None:
    """Entry point of ``napari-al``."""
    # So that torch's threads sleep while they wait for each other, as in session/jobs.py.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="napari-al")


if __name__ == "__main__":
    main()
