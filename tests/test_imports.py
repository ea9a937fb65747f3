"""What is imported when: torch takes seconds, Qt needs a screen, and neither may come too early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scenes import project_config

from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle

if TYPE_CHECKING:
    from startup import Run

HEAVY = ("torch", "cv2", "napari", "qtpy", "matplotlib", "skimage", "scipy", "transformers")


def imported(code: str) -> set[str]:
    """Which of the heavy modules a fresh Python has imported after running the code."""
    code += f"\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


@pytest.mark.parametrize(
    "code",
    [
        "import napari_al",
        "import napari_al.cli",
        "import napari_al.session.session",
        "import napari_al.session.rounds.job_child",
        "from typer.testing import CliRunner; from napari_al.cli import app\n"
        "assert CliRunner().invoke(app, ['simulate', '--help']).exit_code == 0",
        "from typer.testing import CliRunner; from napari_al.cli import app\n"
        "assert CliRunner().invoke(app, ['methods']).exit_code == 0",
    ],
)
def test_nothing_heavy_before_there_is_work(code: str) -> None:
    assert imported(code) == set()


def test_a_session_asks_and_answers_without_torch(data_path: Path, tmp_path: Path) -> None:
    with Session.create(tmp_path / "p", project_config(data_path)) as session:
        session.prepare()
        session.submit(Oracle(session.data).answer(session.query()))
        session.train()
        session.prepare()
    code = (
        "from pathlib import Path\n"
        "from napari_al.core.clicks import Clicks\n"
        "from napari_al.session.session import Session\n"
        "from napari_al.methods.queries import Answer\n"
        f"with Session.open(Path({str(tmp_path / 'p')!r})) as session:\n"
        "    query = session.query()\n"
        "    session.submit(Answer(query, (0,), Clicks(class_clicks=1)))\n"
        "    session.undo(), session.upcoming(3), session.rounds(), session.problems\n"
        "    session.score_map(query.region.image), session.answers_map(query.region.image)\n"
        "    session.prediction(query.region.image), session.targets(query.region.image)\n"
    )
    assert imported(code) == {"cv2"}


def test_counting_while_one_answers_loads_opencv_alone() -> None:
    """Whatever a thread imports takes turns with the window; scipy held it up for 0.2 s."""
    code = (
        "import numpy as np\n"
        "from napari_al.core.geometry.masks import Mask\n"
        "from napari_al.core.geometry.drawing_cost import drawn_clicks\n"
        "drawn_clicks(Mask.from_array(np.ones((9, 9), bool)))\n"
    )
    assert imported(code) == {"cv2"}


def test_what_layers_need_is_loaded_before_the_first_of_them() -> None:
    code = (
        "import sys, napari\n"
        "from napari.components import ViewerModel\n"
        "from napari_al.plugin.layers import layer_kinds as kinds\n"
        "before = set(sys.modules)\n"
        "kinds.load_layers()\n"
        "loaded = set(sys.modules)\n"
        "viewer = ViewerModel()\n"
        "for kind in kinds.ORDER:\n"
        "    viewer.add_layer(kinds.make_layer(kind, kinds.blank(kind, (90, 80)), (), 0.5, {}))\n"
        "late = {name.split('.')[0] for name in set(sys.modules) - loaded}\n"
        "print(sorted(late & {'scipy', 'skimage', 'pandas', 'numpy'}), len(loaded) > len(before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"


def test_reading_units_in_a_thread_cannot_get_in_the_way_of_an_image_that_is_opened() -> None:
    code = (
        "import napari, pint\n"
        "from napari.layers import Image\n"
        "from napari_al.plugin.layers import layer_kinds as kinds\n"
        "registry = lambda: pint.application_registry.get()\n"
        "first, second = kinds.load_units(), kinds.load_units()\n"
        "print(type(registry()).__name__)\n"
        "first()\n"
        "adopted = registry()\n"
        "image = Image(kinds.blank('borders', (9, 8)))\n"
        "second()\n"
        "kinds.load_layers()\n"
        "print(type(adopted).__name__, registry() is adopted, image.units[0] == adopted.pixel)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["LazyRegistry", "UnitRegistry True True"]


@pytest.fixture(scope="module")
def start() -> dict[str, Run]:
    """Short form of benchmarks/startup.py."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from startup import PROGRAMS, Run

    return {name: Run.of(code) for name, code in PROGRAMS.items() if name != "python"}


def test_help_is_there_at_once(start: dict[str, Run]) -> None:
    assert start["napari-al --help"].heavy == ""
    assert start["napari-al --help"].cpu_s < start["napari"].cpu_s / 3


def test_the_dock_adds_little_to_naparis_start(start: dict[str, Run]) -> None:
    alone, with_dock = start["napari"], start["napari with the dock"]
    assert with_dock.heavy == alone.heavy, "torch and cv2 wait until they are needed"
    assert with_dock.cpu_s < 1.5 * alone.cpu_s
