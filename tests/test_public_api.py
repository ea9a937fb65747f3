from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

import napari_al

LISTED = Path(__file__).with_name("public_api.txt")
"""What programs of others may use. A line is only taken out after a deprecation (docs/api.md)."""
HEAVY = ("torch", "cv2", "napari", "qtpy", "matplotlib", "numpy")


@pytest.mark.parametrize("name", napari_al.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(napari_al, name) is not None
    assert name in dir(napari_al)


def public_surface() -> set[str]:
    """Names, their public members, and what their parameters are called."""
    surface = set()
    for name in napari_al.__all__:
        thing = getattr(napari_al, name)
        surface.add(name)
        if inspect.isclass(thing):
            ours = [kind for kind in thing.__mro__ if kind.__module__.startswith("napari_al")]
            own = {
                member for kind in ours for member in (*vars(kind), *inspect.get_annotations(kind))
            }
            members = {member for member in own if not member.startswith(("_", "model_"))}
            surface |= {f"{name}.{member}" for member in members}
            callables = {f"{name}.{member}": getattr(thing, member, None) for member in members}
        else:
            callables = {name: thing}
        for path, call in callables.items():
            if inspect.isroutine(call) and callable(call):
                parameters = set(inspect.signature(call).parameters) - {"self", "cls"}
                surface |= {f"{path}({parameter})" for parameter in parameters}
    return surface


def test_nothing_public_was_removed() -> None:
    listed = set(LISTED.read_text(encoding="utf-8").split())
    assert listed, "the list is there"
    missing = sorted(listed - public_surface())
    assert not missing, f"removed without a deprecation: {missing}"
    assert set(napari_al.__all__) <= listed, "what is new belongs into the list"


def test_type_checkers_of_others_find_the_types() -> None:
    assert (Path(napari_al.__file__).parent / "py.typed").is_file()


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
        (
            "budget=100",
            'budget=4, regions={"n_per_image": 20}, training={"steps": 2, "threads": 1}',
        ),
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
