from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

import napari_al

HEAVY = ("torch", "cv2", "napari", "qtpy", "matplotlib", "numpy")


@pytest.mark.parametrize("name", napari_al.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(napari_al, name) is not None
    assert name in dir(napari_al)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = napari_al.nope


@pytest.mark.parametrize(
    "code",
    [
        "import napari_al",
        "import napari_al.cli",
        "import sys; sys.argv = ['napari-al', '--help']; from napari_al.cli import app; "
        "app(standalone_mode=False)",
        "import sys; sys.argv = ['napari-al', 'methods']; from napari_al.cli import app; "
        "app(standalone_mode=False)",
    ],
)
def test_little_is_imported_before_it_is_needed(code: str) -> None:
    check = f"{code}\nimport sys; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


def test_the_script_of_the_readme_runs(
    tmp_path: Path, data_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(script.strip().splitlines()) <= 20
    for old, new in (
        ("sample_data/data", str(data_path)),
        ("budget=100", 'budget=4, regions={"n_per_image": 20}'),
        ('"segmenter": "filters"', '"segmenter": "filters", "steps": 2, "threads": 1'),
    ):
        assert old in script
        script = script.replace(old, new)
    monkeypatch.chdir(tmp_path)
    names: dict[str, list[dict[str, object]]] = {}
    exec(script, names)
    table = pandas.DataFrame(names["rounds"])
    assert table["round"].tolist() == [1, 2, 3]
    numbers = table.drop(columns=["project", "method", "score_s", "select_s"])
    assert all(kind.kind in "if" for kind in numbers.dtypes)
