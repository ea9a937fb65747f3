"""Acquisition functions and annotators of one's own: the docs' examples, and what goes wrong."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scenes import QUICK_TRAINING, project_config
from typer.testing import CliRunner

from napari_al import InputError, Oracle, make_config, read_rounds, register_acquisition
from napari_al.cli import app
from napari_al.core.correction import CorrectionTable
from napari_al.core.regions import RegionTable
from napari_al.formats.dataset import DataFolder
from napari_al.methods import acquisition
from napari_al.methods.table import METHODS, Method
from napari_al.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SMALL = """
[settings.training]
segmenter = "filters"
steps = 3
batch_size = 2
crop_px = 32
[settings.regions]
n_per_image = 20
"""


@pytest.fixture(autouse=True)
def _no_trace() -> Iterator[None]:
    """Take away what a test registered and imported."""
    functions, modules, path = dict(acquisition.ACQUISITIONS), dict(sys.modules), list(sys.path)
    yield
    acquisition.ACQUISITIONS.clear()
    acquisition.ACQUISITIONS.update(functions)
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        if "margin" in name:
            del sys.modules[name]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, data_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples run: with small data in the place of the sample data."""
    shutil.copytree(data_path, tmp_path / "sample_data" / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_with_a_function_of_ones_own(folder: Path) -> None:
    (folder / "margin_of_size.py").write_text(blocks("python")[0])
    (toml,) = blocks("toml")
    for old, new in (
        ("budget = 100", "budget = 6"),
        ("rounds = 3", "rounds = 2\nsupervised = false"),
        ('    "random",\n    "classbal",\n', ""),
    ):
        assert old in toml
        toml = toml.replace(old, new)
    (folder / "compare.toml").write_text(toml + SMALL)
    (command,) = blocks("sh")
    program, *arguments = command.split()
    assert program == "napari-al"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("done, model mIoU") == 2

    del acquisition.ACQUISITIONS["margin-of-size"]  # as in a program that does not know it
    run = str(folder / "margin" / "runs" / "coast-margin-of-size-seed0")
    (folder / "own.toml").write_text('[method]\nacquisition = "margin-of-size"\n')
    for arguments, status, words in (
        (["report", run, "--out", "again"], 0, "report.html"),
        (["export", run, "--out", "labels"], 0, "images"),
        (["simulate", "sample_data/data", "--out", run, "--config", "own.toml"], 2, "--import"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == status, result.output
        assert words in result.output
    with pytest.raises(InputError, match="has to be registered"):
        Session.open(Path(run))


def small(script: str) -> str:
    """An example that takes a moment."""
    settings = {
        "training": QUICK_TRAINING,
        "regions": {"n_per_image": 20},
    }
    assert "n_rounds=3, budget=100" in script
    return script.replace("n_rounds=3, budget=100", f"n_rounds=2, budget=6, settings={settings}")


def test_a_function_in_a_script(folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(small(blocks("python")[1]), names)
    assert [(row["method"], row["round"]) for row in names["rounds"]] == [
        ("bvsb", 1),
        ("bvsb", 2),
        ("entropy", 1),
        ("entropy", 2),
    ]
    assert (folder / "runs" / "report" / "report.html").exists()
    assert acquisition.modules_of_registered() == [], "no child process could import the script"


def test_an_annotator_of_ones_own(folder: Path) -> None:
    script = small(blocks("python")[2])
    assert "top < 60" in script
    exec(script.replace("top < 60", "top < 20"), {})
    with Session.open(folder / "runs" / "sky", read_only=True) as session:
        for answer in session.answers():
            is_above = answer.query.region.mask.box[0] < 20
            assert (answer.outcome != "skipped") == is_above
    assert [row["clicks"] for row in read_rounds("runs/sky")] == [6, 12]


# ---- what is registered, and what cannot be


@pytest.mark.parametrize(
    ("names", "table", "besides"),
    [
        (acquisition.REGION_COLUMNS, RegionTable, set()),
        (acquisition.CORRECTION_COLUMNS, CorrectionTable, set()),
        (acquisition.ANY_COLUMNS, RegionTable, set(acquisition.ANY_COLUMNS)),
        (acquisition.ENSEMBLE_COLUMNS, RegionTable, {"disagreement"}),
        (acquisition.ENCODER_COLUMNS, RegionTable, {"features"}),
    ],
)
def test_the_columns_are_there(names: tuple[str, ...], table: type, besides: set[str]) -> None:
    assert {name for name in names if not hasattr(table, name)} == besides
    assert all(f"`{name}`" in DOCS for name in names)


@pytest.mark.parametrize("query", ["dominant", "multi-class", "correction", "precise"])
def test_built_in_functions_fit_their_queries(query: str) -> None:
    of_corrections = {"cil", "lcil", "sim", "abc"}
    fitting = set(acquisition.acquisitions_for(query))  # type: ignore[arg-type]
    others = {*acquisition.BUILT_IN} - of_corrections - {"bald", "maxherding", "uherding"}
    expected = of_corrections if query == "correction" else others
    assert fitting == expected | {"random"}


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("bvsb", ("size",), "taken"),
        ("random", ("size",), "taken"),
        ("", ("size",), "taken"),
        ("mine", ("sizes",), "got .'sizes'"),
        ("mine", (), "got ()"),
        ("mine", "size", "got 'size'"),
    ],
)
def test_what_cannot_be_registered(name: str, columns: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        register_acquisition(name, columns)


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("bvsb", {"acquisition": "bvbs"}, "did you mean bvsb"),
        ("bvsb", {"acquisition": "mine"}, "has to be registered"),
        ("alc", {"acquisition": "mean"}, "reads mean_bvsb, which correction queries do not have"),
        ("alc", {"acquisition": "bvsb"}, "reads mean_bvsb"),
    ],
)
def test_what_cannot_be_used(
    data_path: Path, tmp_path: Path, method: str, changes: dict[str, str], message: str
) -> None:
    register_acquisition("mean", ("mean_bvsb",))(lambda columns, _: columns["mean_bvsb"])
    data = DataFolder.open(data_path)
    with pytest.raises(InputError, match=message):
        make_config(data, {"method": changes}, method)
    row = Method.model_validate({**METHODS[method].model_dump(), **changes})
    config = project_config(data_path).model_copy(update={"method": row})
    with pytest.raises(InputError, match=message):
        Session.create(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_function_that_returns_rubbish(data_path: Path) -> None:
    register_acquisition("rubbish", ("mean_probs",))(lambda columns, _: columns["mean_probs"])
    row = METHODS["bvsb"].model_copy(update={"acquisition": "rubbish"})
    config = project_config(data_path).model_copy(update={"method": row})
    with pytest.raises(InputError, match=r"'rubbish': a number for each of 5 regions"):
        acquisition.acquisition_function(row).score({"mean_probs": np.zeros((5, 4))}, config)


@pytest.mark.parametrize(
    ("name", "message"), [("nothing.py", "expects a Python file"), ("json.py", "another module")]
)
def test_files_that_cannot_be_imported(tmp_path: Path, name: str, message: str) -> None:
    if name != "nothing.py":
        (tmp_path / name).write_text("")
    result = CliRunner().invoke(app, ["--import", str(tmp_path / name), "methods"])
    assert result.exit_code == 2
    assert message in result.output


def test_the_windows_child_process_has_it(
    tmp_path: Path, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "margin_in_child.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    __import__("margin_in_child")
    row = METHODS["bvsb"].model_copy(update={"acquisition": "margin-of-size"})
    config = project_config(data_path).model_copy(update={"method": row})
    with Session.create(tmp_path / "run", config) as session:
        session.prepare()
        oracle = Oracle(session.data)
        while (query := session.query()) is not None:
            session.submit(oracle.answer(query))
        results = []
        session.events.job_finished.connect(results.append)
        session.start_training()
        session.wait_for_job()
        assert [result.status for result in results] == ["done"], results
        assert session.scores_round == 1
