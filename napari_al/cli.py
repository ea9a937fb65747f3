"""The command line: one program of the commands in ``commands/``, and how it ends.

Imports as little as it can until a command runs: ``--help`` needs neither torch nor Qt. Input that
cannot be used ends a command with status 2 and one line on stderr, Ctrl-C with 130.
"""

import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import napari_al
from napari_al.commands.annotate import demo, label
from napari_al.commands.labels import export, import_, pseudo_label, relocate
from napari_al.commands.machine import doctor
from napari_al.commands.models import download, export_model, predict
from napari_al.commands.runs import report, simulate, sweep, train
from napari_al.commands.tables import methods
from napari_al.errors import BrokenDataError, InputError

_UsageError: Any = typer.BadParameter.__base__  # typer has a click of its own, or shares one


class _Commands(TyperGroup):
    """Turns what a user can cause into one line and an exit status."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if not args:  # shows the help
            return super().parse_args(ctx, args)
        with _one_line(debug=False):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _one_line(debug=ctx.params.get("debug", False)):
            return super().invoke(ctx)


@contextmanager
def _one_line(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        _fail(f"{error.format_message()} (see --help)")
    except KeyboardInterrupt:
        typer.echo("stopped; nothing is lost: the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise
    except (InputError, OSError) as error:
        if debug:
            raise
        _fail(_message(error))
    except RuntimeError as error:
        if debug or "Symlink loop" not in str(error):  # pathlib's, before Python 3.13
            raise
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo("error: " + " ".join(message.split()), err=True)
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


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-al {napari_al.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="show it and end", callback=_show_version, is_eager=True),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="say what is done; -vv says more",
            show_default=False,
        ),
    ] = 0,
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
    if verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("napari_al").setLevel(level)
    for path in imports or []:
        _import(path)


for command in (
    label, simulate, sweep, report, export, pseudo_label, export_model, predict, demo, methods,
    download, doctor, relocate, train,
):  # fmt: skip
    app.command()(command)
app.command("import")(import_)


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


def _message(error: InputError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, BrokenDataError):
        words = "use --skip-broken (in a file of settings: skip_broken = true)"
        return str(BrokenDataError(error.fault, words))
    return str(error)


def main() -> None:
    """Entry point of ``napari-al``."""
    # So that torch's threads sleep while they wait for each other, as in job_process.py.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name of a file may have no letters there
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="napari-al")


if __name__ == "__main__":
    main()
