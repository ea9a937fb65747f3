"""The command line as people meet it: in this process where that is enough, else in its own."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from scenes import write_data, write_initial
from typer.testing import CliRunner

import napari_al
from napari_al.cli import app
from napari_al.methods.table import METHODS
from napari_al.plugin.preferences import Preferences
from napari_al.session.project.folder import Project

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = {
    "training.steps": 3,
    "training.batch_size": 2,
    "training.crop_px": 32,
    "training.segmenter": "filters",
    "training.threads": 1,
    "regions.n_per_image": 20,
    "regions.side_px": 16,
}


def command(data: Path, out: Path, method: str = "classbal", *more: str) -> list[str]:
    settings = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
    arguments = ["simulate", str(data), "--method", method, "--out", str(out)]
    return [*arguments, "--rounds", "2", "--budget", "6", *settings, *more]


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def rows_of(project: Path) -> list[dict[str, str]]:
    """Rows of rounds.csv without the times."""
    with (project / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_initial(write_data(tmp_path_factory.mktemp("cli") / "data"))


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A finished run of a method, made once; not to be written to."""

    @cache
    def run_of(method: str) -> Path:
        out = tmp_path_factory.mktemp("finished") / method
        status, stdout, stderr = run(*command(data, out, method))
        assert status == 0, stderr
        assert stdout.splitlines()[-2:] == [str(out / "rounds.csv"), str(out / "curve.png")]
        return out

    return run_of


@pytest.mark.parametrize("method", METHODS)
def test_simulate_runs_every_method(finished: Callable[[str], Path], method: str) -> None:
    out = finished(method)
    rows = rows_of(out)
    first = 0 if METHODS[method].starts_from_labels else 1
    assert [int(row["round"]) for row in rows] == list(range(first, 3))
    assert all(row["method"] == method and row["seed"] == "0" for row in rows)
    spent = [int(row["clicks"]) for row in rows]
    assert spent == sorted(spent)
    if method != "adaptive-superpixel":  # its few merged regions may all be answered before
        assert spent[-1] >= 12
    kinds = ("class_clicks", "polygon_clicks", "intersection_clicks")
    assert all(int(row["clicks"]) == sum(int(row[kind]) for kind in kinds) for row in rows)
    assert all(0 <= float(row["model_miou"]) <= 1 for row in rows)
    assert (out / "curve.png").stat().st_size > 5000


@pytest.mark.parametrize("init", ["noisy", "model"])
def test_simulate_makes_initial_labels(data: Path, tmp_path: Path, init: str) -> None:
    out = tmp_path / "run"
    status, _, stderr = run(*command(data, out, "alc", "--init", init))
    assert status == 0, stderr
    n_images = len(list((data / "train" / "images").iterdir()))
    for folder in ("labels", "masks"):
        assert len(list((out / "initial" / folder).iterdir())) == n_images
    assert len(rows_of(out)) == 3


@pytest.mark.parametrize("method", ["alc", "a2lc"])
def test_initial_labels_without_masks_are_corrected(tmp_path: Path, method: str) -> None:
    data, out = write_initial(write_data(tmp_path / "data")), tmp_path / "run"
    shutil.rmtree(data / "train" / "masks")
    status, _, stderr = run(*command(data, out, method, "--init", "initial_labels"))
    assert status == 0, stderr
    assert stderr.count("note: 5 images have no object masks: the connected parts") == 1
    assert [int(row["clicks"]) for row in rows_of(out)] == [0, 6, 12]


def test_config_file_makes_a_new_combination(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "merged.toml"
    config.write_text('budget = 99\n[method]\nmerging = "adaptive"\n')
    arguments = command(data, tmp_path / "run", "multi-class", "--config", str(config))
    assert run(*arguments)[0] == 0
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["method"]["name"] == "merged"
    assert written["method"]["merging"] == "adaptive"
    assert written["budget"] == 6, "options win over the file"


# ---- stopped and started again


@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise there")
@pytest.mark.parametrize(
    ("method", "stage"),
    [
        ("classbal", "round 2/2 answers"),
        ("classbal", "round 2/2 training"),
        ("a2lc", "round 2/2 answers"),
        ("multi-class", "round 1/2 pseudo-labels"),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(
    data: Path, finished: Callable[[str], Path], tmp_path: Path, method: str, stage: str
) -> None:
    whole, broken = finished(method), tmp_path / "broken"
    killed_at(command(data, broken, method), stage, signal.SIGKILL)
    assert len(Project(broken).read_rounds()) < len(rows_of(whole))
    assert run(*command(data, broken, method))[0] == 0
    assert rows_of(broken) == rows_of(whole)
    assert not list(broken.rglob("*.tmp"))


def test_a_finished_run_is_not_run_again_and_can_be_made_longer(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(*command(data, out))[0] == 0
    before = (out / "rounds.csv").read_bytes()
    assert run(*command(data, out))[0] == 0
    assert (out / "rounds.csv").read_bytes() == before
    assert run(*command(data, out, "classbal", "--rounds", "3"))[0] == 0
    assert (out / "rounds.csv").read_bytes().startswith(before)
    assert len(rows_of(out)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_ends_with_130_and_loses_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    long = command(data, out, "classbal", "--set", "training.steps=100000")
    process = killed_at(long, "round 1/2 training", signal.SIGINT)
    assert process.returncode == 130
    assert "the same command goes on" in process.stderr
    assert "Traceback" not in process.stderr
    with napari_al.Session.open(out) as session:
        assert len(session.answers()) == 6


def listen_to_ctrl_c() -> None:
    """For a child: what runs in the background of a shell ignores Ctrl-C, and so would its."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def killed_at(
    arguments: list[str], stage: str, how: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own and end it when it says that it is in a stage."""
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_al.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=listen_to_ctrl_c,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(stage):
            process.send_signal(how)
            break
    lines.append(process.stderr.read())
    process.stderr.close()
    process.wait(timeout=60)
    assert any(line.startswith(stage) for line in lines), "".join(lines)
    return subprocess.CompletedProcess(arguments, process.returncode, "", "".join(lines))


# ---- bad input


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def wrong_size(path: Path) -> None:
    iio.imwrite(path, np.zeros((10, 12), np.uint8))


def wrong_id(path: Path) -> None:
    class_map = iio.imread(path)
    class_map[0, 0] = 77
    iio.imwrite(path, class_map)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("train/images/scene_1.png", corrupt, "scene_1.png"),
        ("train/labels/scene_1.png", wrong_size, "12 x 10 pixels"),
        ("train/labels/scene_1.png", wrong_id, "class id 77"),
        ("train/labels/scene_1.png", remove, "have none, 'scene_1' among them"),
        ("classes.json", corrupt, "not JSON"),
        ("classes.json", remove, "no classes.json"),
    ],
)
def test_bad_data_is_named_in_one_line(
    tmp_path: Path, file: str, damage: object, message: str
) -> None:
    folder = write_data(tmp_path / "data")
    damage(folder / file)  # type: ignore[operator]
    status, stdout, stderr = run(*command(folder, tmp_path / "run"))
    assert (status, stdout, stderr.count("\n")) == (2, "", 1)
    assert message in stderr
    assert not (tmp_path / "run").exists()


def test_broken_images_are_left_out_on_request(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "data")
    corrupt(folder / "train/images/scene_1.png")
    status, _, stderr = run(*command(folder, tmp_path / "run", "random"))
    assert status == 2
    assert "or use --skip-broken" in stderr
    status, _, stderr = run(*command(folder, tmp_path / "run", "random", "--skip-broken"))
    assert status == 0, stderr
    assert "scene_1.png" in stderr, "never silently"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "clasbal"], "did you mean classbal"),
        (["--set", "training.stepz=1"], "did you mean training.steps"),
        (["--set", "training.steps=none"], "valid integer"),
        (["--set", "training=5"], "valid dictionary"),
        (["--segmenter", "resnet"], "expected one of efficientnet-lite0"),
        (["--device", "tpu"], "--device"),
        (["--rounds", "0"], "--rounds"),
        (["--config", "missing.toml"], "cannot be read"),
        (["--method", "alc", "--init", "noisy", "--set", "initial.confusions.car.bus=1"], "'bus'"),
        (["--set", "method.targets=partial"], "cannot be made from dominant answers"),
    ],
)
def test_options_that_cannot_be_used(
    data: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    status, _, stderr = run(*command(data, tmp_path / "run", "classbal", *more))
    assert (status, stderr.count("\n")) == (2, 1)
    assert message in stderr


def test_other_settings_than_the_projects_are_refused(
    data: Path, finished: Callable[[str], Path]
) -> None:
    status, _, stderr = run(*command(data, finished("classbal"), "random", "--seed", "3"))
    assert (status, stderr.count("\n")) == (2, 1)
    assert "seed: 0, not 3" in stderr
    assert "method.name: 'classbal', not 'random'" in stderr


@pytest.mark.parametrize(
    ("data_path", "message"),
    [("nowhere", "does not exist"), (".", "has no images"), ("file", "is not a folder")],
)
def test_folders_that_are_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    status, _, stderr = run(*command(Path(data_path), tmp_path / "run"))
    assert (status, stderr.count("\n")) == (2, 1)
    assert message in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "No such option"),
        (["simulat"], "Did you mean 'simulate'?"),
        (["--import"], "requires an argument"),
        (["--import", "none.py", "methods"], "expects a Python file"),
        (["simulate"], "Missing argument"),
        (["label", "missing"], "is no folder"),
        (["label", "file"], "is no folder"),
        (["label", "damaged"], "damaged or no config"),
        (["label", "damaged", "--inspect"], "damaged or no config"),
        (["label", "empty", "--method", "clasbal"], "did you mean classbal"),
        (["report", "loop", "--out", "new"], "loop"),
        (["export", "x" * 300, "--out", "new"], "File name too long"),
        (["export", "file/below", "--out", "new"], "no project of napari-al"),
        (["report", "empty", "--out", "new"], "no project of napari-al"),
        (["pseudo-label", "missing", "--out", "new"], "No such file"),
        (["sweep", "empty", "--out", "new"], "cannot be read"),
        (["predict", "empty", "empty", "--out", "new"], "is no model"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("empty").mkdir()
    Path("damaged").mkdir()
    Path("damaged/config.json").touch()
    Path("loop").symlink_to("loop")
    status, stdout, stderr = run(*arguments)
    assert (status, stdout, stderr.count("\n")) == (2, "", 1)
    assert message in stderr
    assert not Path("new").exists()


def test_without_a_command_there_is_help() -> None:
    assert "Usage: " in "".join(run()[1:])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are letters")
def test_names_without_letters_are_printed(finished: Callable[[str], Path], tmp_path: Path) -> None:
    out = os.fsencode(tmp_path) + b"/\xff"
    command = [sys.executable, "-m", "napari_al.cli", "export", str(finished("classbal"))]
    done = subprocess.run([*command, "--out", out], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\\udcff\n")
    card = Path(os.fsdecode(out)) / "croissant.jsonld"
    assert json.loads(card.read_bytes())["name"] == "\udcff"


def test_correction_needs_labels_to_correct(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "data")
    status, _, stderr = run(*command(folder, tmp_path / "run", "alc"))
    assert (status, stderr.count("\n")) == (2, 1)
    assert "--init noisy or --init model" in stderr


def test_out_may_not_be_somebody_elses_folder(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    status, _, stderr = run(*command(data, tmp_path))
    assert (status, stderr.count("\n")) == (2, 1)
    assert "name a new folder" in stderr


def test_a_run_that_is_open_elsewhere_is_not_touched(
    data: Path, finished: Callable[[str], Path]
) -> None:
    from napari_al.session.session import Session

    out = finished("classbal")
    with Session.open(out):
        done = subprocess.run(
            [sys.executable, "-m", "napari_al.cli", *command(data, out)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


# ---- the rest


def test_methods_lists_the_table() -> None:
    status, stdout, _ = run("methods")
    assert status == 0
    assert [line.split()[0] for line in stdout.splitlines()[1:]] == list(METHODS)


def test_methods_lists_the_settings() -> None:
    status, stdout, _ = run("methods", "--settings")
    assert status == 0
    assert "training.steps" in stdout


def test_report_of_runs(finished: Callable[[str], Path], tmp_path: Path) -> None:
    projects = [str(finished(method)) for method in ("random", "multi-class", "a2lc")]
    status, stdout, _ = run("report", *projects, "--out", str(tmp_path / "report"))
    assert status == 0
    assert Path(stdout.strip()).read_text().count("<h2>") == 1
    assert run("report", str(tmp_path), "--out", str(tmp_path / "report"))[0] == 2


@pytest.mark.parametrize("source", ["finished", "targets", "predictions", "answers"])
def test_export_of_a_run(finished: Callable[[str], Path], tmp_path: Path, source: str) -> None:
    out = tmp_path / "labels"
    project = finished("classbal")
    status, stdout, stderr = run("export", str(project), "--out", str(out), "--source", source)
    assert status == 0
    assert "of the pixels are answered" in stderr
    assert "mIoU" in stderr or source in ("targets", "answers")
    written = [iio.imread(path) for path in (out / "labels").iterdir()]
    assert stdout == f"{len(written)} images: {out}\n"
    assert all(labels.shape == (48, 64) for labels in written)
    assert run("export", str(project), "--out", str(out), "--source", source)[0] == 2
    assert (out / "classes.json").is_file()
    again = ("--out", str(out), "--source", source, "--overwrite")
    assert run("export", str(project), *again)[0] == 0
    assert run("export", str(tmp_path), "--out", str(out))[0] == 2
    assert run("export", str(project))[0] == 2


def test_export_of_a_script(finished: Callable[[str], Path], tmp_path: Path) -> None:
    script = tmp_path / "again.py"
    status, stdout, _ = run("export", str(finished("classbal")), "--script", str(script))
    assert (status, stdout) == (0, f"{script}\n")
    compile(script.read_text(), str(script), "exec")  # test_replay.py runs one


def test_predict_by_a_run(data: Path, finished: Callable[[str], Path], tmp_path: Path) -> None:
    project, images, out = finished("classbal"), data / "val" / "images", tmp_path / "out"
    status, stdout, _ = run("predict", str(project), str(images), "--out", str(out))
    assert (status, stdout) == (0, f"{out}\n")
    assert {p.name for p in out.glob("*.png")} == {p.name for p in images.iterdir()}
    assert json.loads((out / "classes.json").read_text())[3]["name"] == "van"
    for model in (
        tmp_path,
        data,
        images / "scene_0.png",
        project / "models" / "round_09.safetensors",
    ):
        status, _, stderr = run("predict", str(model), str(images), "--out", str(tmp_path / "no"))
        assert (status, stderr.count("\n")) == (2, 1)
        assert str(model) in stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
@pytest.mark.parametrize("arguments", [["label"], ["demo"], ["demo", "--simulated"]])
def test_without_a_display_the_window_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    status, _, stderr = run(*arguments)
    assert (status, stderr.count("\n")) == (2, 1)
    assert "xvfb-run" in stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
    ],
)
def test_every_command_has_help(name: str) -> None:
    status, stdout, _ = run(name, "--help")
    assert status == 0
    assert stdout.startswith("Usage:")


def test_inspect_needs_a_project(tmp_path: Path) -> None:
    status, _, stderr = run("label", str(tmp_path), "--inspect")
    assert status == 2
    assert "is none" in stderr


def test_label_shows_the_windows_own_default_budget() -> None:
    _, stdout, _ = run("label", "--help")
    words = " ".join(re.sub("[│┃]", " ", stdout).split())
    assert f"of the preferences: {Preferences().budget}" in words
    assert "500" not in words
