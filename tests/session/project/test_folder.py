from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_al.errors import InputError
from napari_al.formats.classes import ClassInfo
from napari_al.methods.table import METHODS
from napari_al.session.project import config
from napari_al.session.project.config import ProjectConfig
from napari_al.session.project.folder import Project
from napari_al.session.project.rounds_csv import ROUND_COLUMNS
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = ProjectConfig(
    data="../data",
    classes=(ClassInfo(id=0, name="sky", color="#808080"),),
    method=METHODS["adaptive-superpixel"],
    seed=3,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "new" / "project", CONFIG)


def test_config_comes_back(project: Project) -> None:
    assert Project.open(project.path).read_config() == CONFIG


@pytest.mark.parametrize("leftover", [".DS_Store", "project.lock", f".{'0a' * 16}.tmp"])
def test_created_in_an_empty_folder_only(leftover: str, tmp_path: Path) -> None:
    (tmp_path / leftover).touch()
    (tmp_path / "models").mkdir()
    Project.create(tmp_path, CONFIG)
    with pytest.raises(InputError, match="already"):
        Project.create(tmp_path, CONFIG)


def test_not_created_over_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty"):
        Project.create(tmp_path, CONFIG)
    with pytest.raises(InputError, match="file"):
        Project.create(tmp_path / "thesis.tex", CONFIG)
    with pytest.raises(InputError, match="no project"):
        Project.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"log_seq": 1}',
        '{"log_seq": -1, "row": {}}',
        '{"log_seq": true, "row": {}}',
        '{"log_seq": 1, "row": []}',
        '{"log_seq": 1, "row": {}, "model_iou": "x"}',
        '{"log_seq": 1, "row": {}, "data_iou": [0.5, "x"]}',
    ],
)
def test_a_damaged_round_is_told(text: str, project: Project) -> None:
    project.round_file(1).write_text(text)
    with pytest.raises(InputError, match=r"round_01\.json is missing or damaged"):
        project.read_round(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ("\x00\xff", "damaged"),
        ("{}", "damaged"),
        ('{"version": 99}', "version 99"),
        ('{"version": true}', "version True"),
        ('{"version": "1"}', "version 1"),
        ('{"version": 1}', "data: Field required"),
        ('{"version": 1, "data": "a\\u0000b"}', "data: String should match"),
    ],
)
def test_damaged_config_is_told(text: str, message: str, project: Project) -> None:
    project.config_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        project.read_config()


def test_config_names_the_setting(project: Project) -> None:
    fields = json.loads(project.config_file.read_text())
    fields["training"]["steps"] = 0
    project.config_file.write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"training\.steps: .*1.*\(got '0'\)"):
        project.read_config()


def test_older_config_is_migrated_and_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = json.loads(project.config_file.read_text())
    old["version"] = 0
    old["random_seed"] = old.pop("seed")
    text = json.dumps(old)
    project.config_file.write_text(text)
    with pytest.raises(InputError, match="version 0"):
        project.read_config()

    def rename(fields: dict[str, object]) -> dict[str, object]:
        return {"seed" if key == "random_seed" else key: fields[key] for key in fields}

    monkeypatch.setattr(config, "MIGRATIONS", {0: rename, **config.MIGRATIONS})
    assert Project.open(project.path, read_only=True).read_config() == CONFIG
    assert project.config_file.read_text() == text
    assert project.read_config() == CONFIG
    assert project.path.joinpath("config.v0.json").read_text() == text
    monkeypatch.undo()
    assert project.read_config() == CONFIG


# -- one writer


def test_one_lock_at_a_time(project: Project) -> None:
    lock = project.lock()
    with pytest.raises(InputError, match="this program already"):
        project.lock()
    lock.release()
    lock.release()
    project.lock().release()


def test_a_killed_program_holds_no_lock(project: Project) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from napari_al.session.project.folder import Project\n"
        "lock = Project.open(Path(sys.argv[1])).lock()\n"
        "print('locked', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(project.path), *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(InputError, match=f"process {other.pid}\\).*reading only"):
            project.lock()
        for folder in (project.path, project.models):
            folder.joinpath(f".{'0a' * 16}.tmp").touch()
        other.kill()
        other.wait()
    project.lock().release()
    assert not list(project.path.rglob(".*"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x"}', '{"pid": 1, "host": "else"}'])
def test_lock_file_may_say_anything(text: str, project: Project) -> None:
    lock = project.lock()
    project.path.joinpath("project.lock").write_text(text)
    with pytest.raises(InputError, match="another program"):
        project.lock()
    lock.release()


# -- names stay inside


@pytest.mark.parametrize("image", ["../x", "/x", "a/../../x", "C:/x", "a\\x", ""])
def test_names_do_not_lead_out(image: str, project: Project) -> None:
    with pytest.raises(InputError, match="image name"):
        project.cache_file("regions", image, ".png")


def test_links_do_not_lead_out(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project.path / "cache").symlink_to(elsewhere)  # a user may keep the cache on another disk
    assert project.cache_file("regions", "a/b", ".png") == elsewhere / "regions" / "a" / "b.png"
    (elsewhere / "targets").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out"):
        project.cache_file("targets", "a", ".png")


# -- rounds.csv


def test_rounds_are_added_and_replaced(project: Project) -> None:
    assert project.read_rounds() == []
    project.append_round({"round": 0, "clicks": 0, "model_miou": 0.1 + 0.2, "train_s": None})
    project.append_round({"round": 1, "clicks": 5, "method": 'odd "name", 1'})
    project.append_round({"round": 1, "clicks": 7, "stage2_miou": 0.5})
    first, second = project.read_rounds()
    assert first["model_miou"] == repr(0.1 + 0.2)
    assert first["train_s"] == first["stage2_miou"] == second["method"] == ""
    assert (second["round"], second["clicks"], second["stage2_miou"]) == ("1", "7", "0.5")
    assert tuple(first)[: len(ROUND_COLUMNS)] == ROUND_COLUMNS


def test_rounds_of_an_editor_are_read(project: Project) -> None:
    text = "\ufeffround,clicks,note\r\n1,5,a,b,c\r\n\r\n2\r\n,,\r\n"
    project.rounds_file.write_bytes(text.encode())
    assert project.read_rounds() == [
        {"round": "1", "clicks": "5", "note": "a"},
        {"round": "2", "clicks": "", "note": ""},
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("one,5,0.1", "round: a number was expected, got 'one'"),
        ("1.5,5,0.1", "round: a whole number was expected, got '1.5'"),
        ("1,five,0.1", "clicks: a number"),
        ("1,5,inf", "model_miou: a number"),
        ("1,5,nan", "model_miou: a number"),
        ('1,5,"0,35"', "model_miou: a number was expected, got '0,35'"),
    ],
)
def test_figures_that_are_none_are_told(row: str, message: str, project: Project) -> None:
    project.rounds_file.write_text(f"round,clicks,model_miou\n0,0,0.5\n{row}\n")
    with pytest.raises(InputError, match=rf"rounds\.csv.*{message}.*delete it"):
        project.read_rounds()


@pytest.mark.parametrize("text", ["garbage\n1\n", 'round\n"' + "x" * 200_000])
def test_a_table_that_is_none_is_not_overwritten(text: str, project: Project) -> None:
    project.rounds_file.write_text(text)
    with pytest.raises(InputError, match=r"rounds\.csv"):
        project.append_round({"round": 1})
    assert project.rounds_file.read_text() == text


# -- training.jsonl


def test_training_survives_torn_lines(project: Project) -> None:
    assert project.read_training() == []
    project.append_training({"step": 1, "loss": 0.5})
    whole = project.training_file.read_bytes()
    for cut in range(1, len(whole)):
        project.training_file.write_bytes(whole + whole[:cut])
        expected = [{"step": 1, "loss": 0.5}] * (2 if cut == len(whole) - 1 else 1)
        assert project.read_training() == expected
        project.append_training({"step": 2, "loss": float("nan")})
        assert project.read_training() == [*expected, {"step": 2, "loss": None}]


def test_read_only_refuses_to_write(project: Project) -> None:
    reader = Project.open(project.path, read_only=True)
    for write in (
        lambda: reader.append_round({"round": 1}),
        lambda: reader.append_training({}),
        lambda: reader.write_config(CONFIG),
    ):
        with pytest.raises(WriteError, match="reading only"):
            write()
