"""A project folder: where everything is, and how it is written so that a crash harms nothing.

``config.json``, ``annotations.sqlite``, ``rounds.csv``, ``training.jsonl``, ``models/`` and
``cache/``, which may be deleted at any time.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError

from napari_al.errors import InputError
from napari_al.session.config import VERSION, ProjectConfig
from napari_al.session.lock import FolderLock
from napari_al.session.payload import check_image_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_al.learning.segmenter import Segmenter

ROUND_COLUMNS: Final = (
    "round", "queries", "clicks", "class_clicks", "polygon_clicks", "intersection_clicks",
    "model_miou", "data_miou", "data_coverage", "n_regions", "train_s", "score_s", "select_s",
    "seed", "method",
)  # fmt: skip
"""Columns that every ``rounds.csv`` has; a row may add more."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""What makes a ``config.json`` of version ``key`` one of version ``key + 1``."""

_HARMLESS: Final = {".DS_Store", "Thumbs.db", "desktop.ini", "project.lock"}
"""Files in a folder that do not make it somebody else's."""


def read_rounds(*paths: Path | str) -> list[dict[str, int | float | str | None]]:
    """Read the rounds of projects as rows that a ``pandas.DataFrame`` takes as they are.

    Numbers are numbers, and None is what is not known; the columns are those of ``rounds.csv``,
    ``method`` and ``seed`` among them, with the project's folder as ``project``.
    """
    return [
        {"project": str(path), **{column: _number_or_text(field) for column, field in row.items()}}
        for path in paths
        for row in Project.open(Path(path), read_only=True).read_rounds()
    ]


class WriteError(InputError):
    """A file could not be written; the one that was there before is as it was."""


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that whoever reads it, now or after a crash, sees the old or the new one.

    Parameters
    ----------
    path : Path
        Its folder exists.
    data : bytes
    durable : bool
        Wait until it is on disk. False for what can be made again.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")  # short: names may be at the limit
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


class Project:
    """The files of one project.

    Parameters
    ----------
    path : Path
        The folder. Nothing is read or written yet: see ``create`` and ``open``.
    read_only : bool
        Refuse what writes.
    cache : Path, optional
        Where what can be made again is kept, in the place of the folder's own ``cache/``.
    """

    def __init__(self, path: Path, *, read_only: bool = False, cache: Path | None = None) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self.cache = self.path / "cache" if cache is None else cache

    @classmethod
    def create(cls, path: Path, config: ProjectConfig) -> Project:
        """Make the folder and write ``config.json``, the last thing that makes it a project.

        Raises
        ------
        InputError
            If there is a project already, or something else.
        """
        project = cls(path)
        if project.config_file.exists():
            raise InputError(f"{path} is a project already; open it, or name a new folder")
        if project.path.exists() and not project.path.is_dir():
            raise InputError(f"{path} is a file; name a new folder for the project")
        if project.path.exists() and any(map(_is_foreign, project.path.iterdir())):
            raise InputError(f"{path} is not empty and no project of napari-al; name a new folder")
        try:
            project.path.mkdir(parents=True, exist_ok=True)
            project.models.mkdir(exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"{path} could not be made ({error.strerror}); name a folder that you may write to"
            ) from error
        project.write_config(config)
        return project

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Project:
        """Return the project in a folder.

        Raises
        ------
        InputError
            If there is none.
        """
        project = cls(path, read_only=read_only)
        if not project.config_file.is_file():
            raise InputError(f"{path} is no project of napari-al: it has no config.json")
        return project

    def lock(self) -> FolderLock:
        """Keep other programs from writing, until the lock's ``release`` or the program's end.

        Removes what a crashed program left half written.

        Raises
        ------
        InputError
            If another program has it; says which.
        """
        lock = FolderLock(self.path / "project.lock")
        for left_over in (*self.path.glob(".*.tmp"), *self.models.glob(".*")):
            with suppress(OSError):
                left_over.unlink()
        return lock

    # -- where things are

    @property
    def config_file(self) -> Path:
        """``config.json``."""
        return self.path / "config.json"

    @property
    def log_file(self) -> Path:
        """``annotations.sqlite``."""
        return self.path / "annotations.sqlite"

    @property
    def rounds_file(self) -> Path:
        """``rounds.csv``."""
        return self.path / "rounds.csv"

    @property
    def training_file(self) -> Path:
        """``training.jsonl``."""
        return self.path / "training.jsonl"

    @property
    def models(self) -> Path:
        """``models/``."""
        return self.path / "models"

    def model_file(self, round_number: int, *, stage: int = 1) -> Path:
        """Where the model trained after a round is; stage 2 is never asked from."""
        suffix = "" if stage == 1 else f"_stage_{stage}"
        return self.models / f"round_{round_number:02d}{suffix}.safetensors"

    def newest_model_file(self) -> Path:
        """The model of the newest round that is done, of its second stage where there are two.

        Raises
        ------
        InputError
            If no model was trained yet.
        """
        done = self.rounds_done()
        if not done:
            raise InputError(f"{self.path} has no model yet; train one first")
        second = self.model_file(done[-1], stage=2)
        return second if second.exists() else self.model_file(done[-1])

    def round_file(self, round_number: int) -> Path:
        """Where what is known of a round's model is; it is there when the round is done."""
        return self.models / f"round_{round_number:02d}.json"

    def cache_file(self, kind: str, image: str, suffix: str) -> Path:
        """Where something made for an image is kept; ``kind`` is its folder below ``cache/``.

        Raises
        ------
        InputError
            If the image's name, or a link, leads out of the cache.
        """
        check_image_name(image)
        cache = self.cache.resolve()
        path = cache / kind / f"{image}{suffix}"
        if not path.resolve().is_relative_to(cache):
            raise InputError(f"{path} leads out of the project; delete the links in its cache")
        return path

    def scores_file(self, model_round: int, *, so_far: bool = False) -> Path:
        """Where the pool's scores by a model are; ``so_far``: of the images that are done."""
        suffix = "_so_far" if so_far else ""
        return self.cache / "scores" / f"round_{model_round:02d}{suffix}.safetensors"

    def target_file(self, round_number: int, image: str, *, stage: int = 1) -> Path:
        """Where the class map that a round trains on is."""
        return self.cache_file(f"targets/round_{round_number:02d}_stage_{stage}", image, ".png")

    def prediction_file(self, model_round: int, image: str) -> Path:
        """Where a model's class map is."""
        return self.cache_file(f"predictions/round_{model_round:02d}", image, ".png")

    def table_file(self, model_round: int, image: str) -> Path:
        """Where an image's base regions under a model are, a row each."""
        return self.cache_file(f"tables/round_{model_round:02d}", image, ".safetensors")

    def curves_file(self, round_number: int, image: str) -> Path:
        """Where the confidence curves are by which a round's answers were sieved."""
        return self.cache_file(f"curves/round_{round_number:02d}", image, ".safetensors")

    def drop_cache_of_round(self, round_number: int) -> None:
        """Delete what an earlier model of this round left in the cache."""
        for so_far in (False, True):
            self.scores_file(round_number, so_far=so_far).unlink(missing_ok=True)
        for kind in ("targets", "predictions", "tables", "curves"):
            for folder in (self.cache / kind).glob(f"round_{round_number:02d}*"):
                shutil.rmtree(folder, ignore_errors=True)

    # -- which image somebody looks at, so that a job does it first

    def write_looked_at(self, image: str) -> None:
        """Note it, if that is possible."""
        with suppress(OSError, WriteError):
            path = self.cache / "looked_at"
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, image.encode("utf-8"), durable=False)

    def read_looked_at(self) -> str | None:
        """Return the image noted last; None if there is none."""
        try:
            with (self.cache / "looked_at").open("rb") as file:
                return file.read(4096).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    # -- rounds that are done, and their models

    def rounds_done(self) -> list[int]:
        """Numbers of the rounds that have a model and its figures, ascending."""
        names = (path.stem.removeprefix("round_") for path in self.models.glob("round_*.json"))
        numbers = (int(name) for name in names if name.isdecimal())
        return sorted(n for n in numbers if self.model_file(n).exists())

    def read_round(self, round_number: int) -> dict[str, Any]:
        """Read what is known of a round's model: ``row`` of rounds.csv, ``log_seq``, IoU by class.

        Raises
        ------
        InputError
            If the file is missing or damaged.
        """
        path = self.round_file(round_number)
        try:
            record = json.loads(path.read_bytes())
            if type(record["log_seq"]) is not int or not isinstance(record["row"], dict):
                raise TypeError
        except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is missing or damaged; put a copy of it back, or delete it to train "
                "the round again"
            ) from error
        return cast("dict[str, Any]", record)

    def save_model(self, round_number: int, segmenter: Segmenter, *, stage: int = 1) -> None:
        """Write the model trained after a round."""
        from napari_al.learning.weights import save_segmenter

        self._check_writable()
        self.models.mkdir(exist_ok=True)
        path = self.model_file(round_number, stage=stage)
        try:
            save_segmenter(path, segmenter, {"round": str(round_number)})
        except OSError as error:
            raise _cannot_write(path, error) from error

    def load_model(self, round_number: int) -> Segmenter:
        """Read the model trained after a round, on the CPU."""
        from napari_al.learning.weights import load_segmenter

        return load_segmenter(self.model_file(round_number))

    # -- config.json

    def write_config(self, config: ProjectConfig) -> None:
        """Replace ``config.json``."""
        self._check_writable()
        write_atomic(self.config_file, config.model_dump_json(indent=1).encode("utf-8"))

    def read_config(self) -> ProjectConfig:
        """Read ``config.json``; one of an older version is brought up to date, a copy kept.

        Raises
        ------
        InputError
            If it is missing, damaged, of a newer version, or has a value that cannot be used.
        """
        try:
            text = self.config_file.read_bytes()
            fields = json.loads(text)
            version = fields["version"]
        except OSError as error:
            raise InputError(f"{self.config_file} cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.config_file} is damaged or no config of napari-al; put a copy of it back"
            ) from error
        if type(version) is not int or version not in (*MIGRATIONS, VERSION):
            known = ", ".join(map(str, (*MIGRATIONS, VERSION)))
            raise InputError(
                f"{self.config_file} is of version {str(version)[:20]}, this napari-al "
                f"reads {known}; update napari-al"
            )
        if version < VERSION:
            fields = self._migrate(version, fields, text)
        return _config(fields, self.config_file)

    def _migrate(self, version: int, fields: dict[str, Any], text: bytes) -> dict[str, Any]:
        for older in range(version, VERSION):
            fields = {**MIGRATIONS[older](fields), "version": older + 1}
        config = _config(fields, self.config_file)
        if not self.read_only:
            write_atomic(self.config_file.with_name(f"config.v{version}.json"), text)
            self.write_config(config)
        return fields

    # -- rounds.csv

    def append_round(self, row: Mapping[str, object]) -> None:
        """Add a round's row; None is an empty field. A row of the same round is replaced."""
        self._check_writable()
        new = {column: _field(value) for column, value in row.items()}
        rows = [old for old in self.read_rounds() if old["round"] != new["round"]] + [new]
        columns = dict.fromkeys(ROUND_COLUMNS)
        columns.update(dict.fromkeys(column for old in rows for column in old))
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.rounds_file, text.getvalue().encode("utf-8"))

    def read_rounds(self) -> list[dict[str, str]]:
        """Rows of ``rounds.csv``, [] while there is none; an empty field is ``""``.

        Raises
        ------
        InputError
            If the file is there but is no table with a column ``round``.
        """
        try:
            text = self.rounds_file.read_text("utf-8-sig", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.rounds_file} cannot be read ({error.strerror})") from error
        try:
            table = csv.DictReader(io.StringIO(text), restkey="", restval="")
            rows = [{k: v for k, v in row.items() if k} for row in table if row.get("round")]
        except csv.Error as error:
            raise InputError(f"{self.rounds_file} is damaged ({error}); delete it") from error
        if text.strip() and "round" not in (table.fieldnames or ()):
            raise InputError(
                f"{self.rounds_file} has no column 'round': it was edited or damaged; put a copy "
                "of it back or delete it"
            )
        return rows

    # -- training.jsonl

    def append_training(self, record: Mapping[str, object]) -> None:
        """Add a line about training: what can be written as JSON; no number becomes null."""
        self._check_writable()
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        line = json.dumps(finite).encode("utf-8") + b"\n"
        try:
            with self.training_file.open("ab+") as file:
                if file.tell() and _last_byte(file) != b"\n":  # a crash cut the last line short
                    line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise _cannot_write(self.training_file, error) from error

    def read_training(self) -> list[dict[str, Any]]:
        """Lines of ``training.jsonl``, oldest first; those cut short by a crash are left out."""
        try:
            lines = self.training_file.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict):
                    records.append(record)
        return records

    def _check_writable(self) -> None:
        if self.read_only:
            raise WriteError(f"{self.path} is open for reading only; open it again to write")


def _is_foreign(path: Path) -> bool:
    ours = path.name in _HARMLESS or (path.name.startswith(".") and path.suffix == ".tmp")
    return not ours and not (path.name == "models" and path.is_dir() and not any(path.iterdir()))


def _config(fields: dict[str, Any], path: Path) -> ProjectConfig:
    try:
        return ProjectConfig.model_validate(fields)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} "
            f"(got {str(problem['input'])[:60]!r})"
            for problem in error.errors(include_url=False)[:3]
        ]
        raise InputError(f"{path}: {'; '.join(problems)}") from error


def _cannot_write(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"{path} could not be written ({error.strerror}); make room on the disk or make the folder "
        "writable"
    )


def _field(value: object) -> str:
    return "" if value is None else str(value)


def _last_byte(file: io.BufferedRandom) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable, where folders can be synced (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _number_or_text(field: str) -> int | float | str | None:
    """Read a field of ``rounds.csv`` back."""
    for read in (int, float):
        with suppress(ValueError):
            return read(field)
    return field or None
