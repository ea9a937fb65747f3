"""The newest training is found at the end of a long or damaged ``training.jsonl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_al.session.project import training_log
from napari_al.session.project.training_log import append_record, read_last_training

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "training.jsonl"


def log(path: Path, round_number: int, n_steps: int, stage: int = 1) -> None:
    for step in range(1, n_steps + 1):
        append_record(
            path,
            {"round": round_number, "stage": stage, "step": step, "n_steps": 9, "loss": 1 / step},
        )


def test_steps_of_the_newest_training_and_stage(path: Path) -> None:
    assert read_last_training(path) == []
    log(path, 1, 9)
    log(path, 2, 9)
    log(path, 2, 4, stage=2)
    append_record(path, {"round": 2, "warning": "nothing was learnt"})
    last = read_last_training(path)
    assert [(r["round"], r["stage"], r["step"]) for r in last] == [(2, 2, s) for s in (1, 2, 3, 4)]


def test_a_round_trained_again_shows_its_newest_training(path: Path) -> None:
    log(path, 3, 5)
    log(path, 3, 2)
    assert [r["step"] for r in read_last_training(path)] == [1, 2]


def test_only_the_end_of_a_long_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(path, 1, 40)
    monkeypatch.setattr(training_log, "END_BYTES", 300)
    last = [record["step"] for record in read_last_training(path)]
    assert 2 <= len(last) < 10
    assert last == list(range(41 - len(last), 41))


def test_what_is_no_step_is_left_out(path: Path) -> None:
    append_record(path, {"round": 1, "stage": 1, "step": 1, "n_steps": 9, "loss": float("nan")})
    for record in ({"round": "1"}, {"round": 1, "stage": 1, "step": True, "n_steps": 9}):
        append_record(path, record)
    with path.open("ab") as file:
        file.write(b'[1]\n"x"\n{"round": 1, "sta')
    assert [r["loss"] for r in read_last_training(path)] == [None]
