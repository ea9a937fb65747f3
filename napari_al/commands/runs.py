"""Commands that train or compare: ``simulate``, ``sweep``, ``train``, ``report``."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_al.commands.options import (
    Assignments,
    Budget,
    Cluster,
    ConfigFile,
    Device,
    Method,
    Seed,
    Segmenter,
    SkipBroken,
    settings_of,
)
from napari_al.terminal import RunProgress, SweepProgress, progress_bar


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
    cluster: Cluster = None,
    log_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="also give curves to tensorboard, mlflow or wandb, where that is installed; again "
            "for more",
        ),
    ] = None,
) -> None:
    """Run a method with a simulated annotator, or go on with a run that was stopped.

    Without --method: the recommended one for one click a region.
    """
    settings = settings_of(config, assignments, budget, seed, segmenter, device, skip_broken)
    if init is not None:
        settings["initial"] = {**settings.get("initial", {}), "source": init}
    from napari_al.formats.dataset import DataFolder
    from napari_al.methods.table import RECOMMENDED
    from napari_al.session.project.initial_labels import notes_of_labels
    from napari_al.session.project.settings import image_rules, make_config
    from napari_al.session.rounds.cluster import using
    from napari_al.simulate.metric_sinks import RunMetrics
    from napari_al.simulate.runner import run_config

    metrics = RunMetrics(out, log_to or ())
    skip = bool(settings.get("skip_broken"))
    folder = DataFolder.open(
        data,
        skip_broken=skip,
        rules=image_rules(settings),
        check_labels=not (out / "config.json").exists(),  # they were when the run began
    )
    for broken in folder.broken:
        typer.echo(f"left out: {broken.reason}", err=True)
    if method is None and "method" not in settings:
        method = RECOMMENDED["dominant"]
    chosen = make_config(folder, settings, method)
    for note in (*folder.notes, *notes_of_labels(folder, chosen)):
        typer.echo(f"note: {note}", err=True)
    with using(cluster) as workers, RunProgress(rounds) as progress, closing(metrics):

        def on_round(row: dict[str, str]) -> None:
            progress.show_round(row)
            metrics.add_round(row)

        run_config(
            folder,
            chosen,
            rounds,
            out,
            cluster=workers,
            on_progress=progress.show,
            on_round=on_round,
        )
    typer.echo(f"{out / 'rounds.csv'}\n{out / 'curve.png'}")


def sweep(
    file: Annotated[Path, typer.Argument(help="what to run: data, methods, seeds, settings")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where runs and the report go")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="runs at a time", show_default="one a core, or one on a GPU"),
    ] = None,
    cluster: Cluster = None,
) -> None:
    """Run methods x seeds x settings from a TOML or JSON file, or go on; ends in a report."""
    from napari_al.session.rounds.cluster import using
    from napari_al.simulate.report import REPORT
    from napari_al.simulate.sweep import RUNS, run_folder, run_sweep
    from napari_al.simulate.sweep_plan import read_sweep
    from napari_al.tools.output_folder import check_own

    runs = read_sweep(file)
    check_own(out, RUNS, file)
    check_own(out / "report", REPORT)
    with using(cluster) as workers, SweepProgress(runs) as progress:
        run_sweep(
            runs,
            out,
            jobs=jobs,
            cluster=workers,
            on_progress=progress.show,
            on_finished=progress.show_finished,
        )
    folders = [run_folder(out, run) for run in runs]
    begun = [folder for folder in folders if (folder / "config.json").exists()]
    _write_report(begun, out / "report")
    if progress.n_failed:
        typer.echo(f"error: {progress.n_failed} of {len(runs)} runs failed", err=True)
        raise typer.Exit(1)


def train(
    project: Annotated[Path, typer.Argument(help="a project, answered here or elsewhere")],
) -> None:
    """Train a project's next model on its answers so far, and score what to ask next."""
    from napari_al.session.session import Session

    with Session.open(project) as session, RunProgress(session.round) as progress:
        number = session.round
        session.train(lambda step: progress.show(number, step))
        session.prepare(lambda step: progress.show(number, step))
        model = session.project.newest_model_file()
    typer.echo(model)


def report(
    projects: Annotated[list[Path], typer.Argument(metavar="PROJECT...", help="runs to compare")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the report goes")],
) -> None:
    """Write figures (PNG, SVG), tables (CSV) and one HTML page about runs, finished or not."""
    _write_report(projects, out)


def _write_report(projects: list[Path], out: Path) -> None:
    from napari_al.simulate.report import write_report

    with progress_bar("run") as show:
        page = write_report(projects, out, on_progress=show)
    typer.echo(page)
