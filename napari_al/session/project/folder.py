"""A project folder: its files, and which rounds are done.

``config.json``, ``data.json``, ``annotations.sqlite``, ``rounds.csv``, ``training.jsonl``,
``models/`` and ``cache/``, which may be deleted at any time. Their paths are in ``paths.py``, their
formats in ``config.py``, ``log/``, ``rounds_csv.py`` and ``training_log.py``.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from napari_al.errors import InputError
from napari_al.session.project import rounds_csv, training_log
from napari_al.session.project.config import read_config, write_config
from napari_al.session.project.lock import FolderLock
from napari_al.session.project.paths import ProjectPaths
from napari_al.writing import WriteError, is_left_over, remove_left_overs, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_al.learning.segmenter import Segmenter
    from napari_al.session.project.config import ProjectConfig

N_LIVE_MODELS: Final = 3
"""Rounds whose models a live session keeps."""
_HARMLESS: Final = {".DS_Store", "Thumbs.db", "desktop.ini", "project.lock"}
"""Files in a folder that do not make it somebody else's."""


def read_rounds(*paths: Path | str) -> list[dict[str, int | float | str | None]]:
    """Read the rounds of projects as rows that a ``pandas.DataFrame`` takes as they are.

    Numbers are numbers, and None is what is not known; the columns are those of ``rounds.csv``,
    ``method`` and ``seed`` among them, with the project's folder as ``project``.
    """
    return [
        {"project": str(path), **{k: rounds_csv.number_or_text(v) for k, v in row.items()}}
        for path in paths
        for row in Project.open(Path(path), read_only=True).read_rounds()
    ]


class Project(ProjectPaths):
    """The files of one project; parameters as of ``ProjectPaths``."""

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
        try:
            is_there = project.config_file.is_file()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        if not is_there:
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
        for folder in (self.path, self.models):
            remove_left_overs(folder)
        return lock

    def check_names(self, names: Iterable[str]) -> None:
        """Raise an InputError if the disk would take the files of two images for one.

        Some disks, those of Windows and macOS among them, do not tell capital letters from others.
        """
        if not self.config_file.with_name(self.config_file.name.upper()).exists():
            return
        by_letters: dict[str, str] = {}
        for name in names:
            other = by_letters.setdefault(name.casefold(), name)
            if other != name:
                raise InputError(
                    f"{self.path} is on a disk that does not tell the images {other!r} and "
                    f"{name!r} apart; rename one, or have the project on another disk"
                )

    # -- deleting what is not needed any more

    def drop_cache_of_round(self, round_number: int) -> None:
        """Delete what an earlier model of this round left in the cache."""
        for so_far in (False, True):
            self.scores_file(round_number, so_far=so_far).unlink(missing_ok=True)
        for kind in ("targets", "predictions", "tables", "curves"):
            for stage in ("", "_stage_1", "_stage_2"):
                folder = self.cache / kind / f"round_{round_number:02d}{stage}"
                shutil.rmtree(folder, ignore_errors=True)

    def drop_older_models(self) -> None:
        """Delete models, and what they left in the cache, of rounds before the newest three.

        Live rounds are many and a model may have 13 MB. What is known of the rounds stays, and so
        does the model of the initial labels.
        """
        for number in self.rounds_done()[:-N_LIVE_MODELS]:
            if number and self.model_file(number).exists():
                self.drop_cache_of_round(number)
                for stage in (1, 2):
                    self.model_file(number, stage=stage).unlink(missing_ok=True)

    # -- the image on screen, which jobs process first

    def write_looked_at(self, image: str) -> None:
        """Write the name of the image on screen; errors are ignored."""
        with suppress(OSError, WriteError):
            path = self.cache / "looked_at"
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, image.encode("utf-8"), durable=False)

    def read_looked_at(self) -> str | None:
        """Return the name written last; None if there is none."""
        try:
            with (self.cache / "looked_at").open("rb") as file:
                return file.read(4096).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    # -- rounds that are done, and their models

    def rounds_done(self) -> list[int]:
        """Numbers of the rounds that have a model and its figures, ascending.

        Models of rounds before the newest may have been deleted (`drop_older_models`).
        """
        names = (path.stem.removeprefix("round_") for path in self.models.glob("round_*.json"))
        numbers = (int(name) for name in names if name.isdecimal())
        ascending = sorted(numbers)
        while ascending and not self.model_file(ascending[-1]).exists():
            ascending.pop()
        return ascending

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
        return self.model_file(done[-1], stage=self.last_stage(done[-1]))

    def last_stage(self, round_number: int) -> int:
        """Return 2 if a round has a model of a second stage, else 1."""
        return 2 if self.model_file(round_number, stage=2).exists() else 1

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
            if not _is_record(record):
                raise TypeError
        except (
            OSError,
            ValueError,
            RecursionError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise InputError(
                f"{path} is missing or damaged; put a copy of it back, or delete it to train "
                "the round again"
            ) from error
        return cast("dict[str, Any]", record)

    def has_trained_model(self, round_number: int) -> bool:
        """Whether a round has a model that has learnt from some label, in that round or before."""
        if not self.model_file(round_number).exists():
            return False
        is_done = self.round_file(round_number).exists()
        return not is_done or self.read_round(round_number).get("has_model", True) is True

    def save_model(self, round_number: int, segmenter: Segmenter, *, stage: int = 1) -> None:
        """Write the model trained after a round."""
        from napari_al.learning.weights import save_segmenter

        self._check_writable()
        path = self.model_file(round_number, stage=stage)
        save_segmenter(path, segmenter, {"round": str(round_number)})

    # -- its other files

    def write_config(self, config: ProjectConfig) -> None:
        """Replace ``config.json``."""
        self._check_writable()
        write_config(self.config_file, config)

    def read_config(self) -> ProjectConfig:
        """Read ``config.json``; one of an older version is brought up to date, a copy kept.

        Raises
        ------
        InputError
            If it is missing, damaged, of a newer version, or has a value that cannot be used.
        """
        return read_config(self.config_file, read_only=self.read_only)

    def append_round(self, row: Mapping[str, object]) -> None:
        """Add a round's row to ``rounds.csv``; a row of the same round is replaced."""
        self._check_writable()
        rounds_csv.write_row(self.rounds_file, row)

    def read_rounds(self) -> list[dict[str, str]]:
        """Rows of ``rounds.csv``, [] while there is none; an empty field is ``""``.

        Raises
        ------
        InputError
            If the file is there but is no table with a column ``round``.
        """
        return rounds_csv.read_rows(self.rounds_file)

    def append_training(self, record: Mapping[str, object]) -> None:
        """Add a line to ``training.jsonl``: what can be written as JSON."""
        self._check_writable()
        training_log.append_record(self.training_file, record)

    def read_training(self) -> list[dict[str, Any]]:
        """Lines of ``training.jsonl``, oldest first; those cut short by a crash are left out."""
        return training_log.read_records(self.training_file)

    def read_last_training(self) -> list[dict[str, Any]]:
        """Steps of the training that was logged last (``training_log.read_last_training``)."""
        return training_log.read_last_training(self.training_file)

    def _check_writable(self) -> None:
        if self.read_only:
            raise WriteError(f"{self.path} is open for reading only; open it again to write")


def _is_record(found: object) -> bool:
    """Whether it is what a round leaves: the log's position, a row, IoU by class where known."""
    if not isinstance(found, dict) or not isinstance(found.get("row"), dict):
        return False
    seq, by_class = found.get("log_seq"), [found.get(k) or [] for k in ("model_iou", "data_iou")]
    are_lists = all(isinstance(values, list) for values in by_class)
    return (
        type(seq) is int
        and seq >= 0
        and are_lists
        and all(isinstance(iou, int | float | None) for values in by_class for iou in values)
    )


def _is_foreign(path: Path) -> bool:
    ours = path.name in _HARMLESS or is_left_over(path)
    return not ours and not (path.name == "models" and path.is_dir() and not any(path.iterdir()))
