"""Doing again what was done: the same targets, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file
from scenes import project_config, write_data, write_initial

from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.tools.replay import script_of

if TYPE_CHECKING:
    from pathlib import Path


def targets(path: Path) -> dict[str, bytes]:
    folder = path / "cache" / "targets"
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def answer_some(session: Session, n: int) -> None:
    oracle = Oracle(session.data)
    session.prepare()
    for _ in range(n):
        query = session.query()
        assert query is not None
        session.submit(oracle.answer(query))


@pytest.mark.parametrize("method", ["adaptive-superpixel", "multi-class", "a2lc"])
def test_the_script_repeats_targets_and_models(method: str, tmp_path: Path) -> None:
    data = write_initial(write_data(tmp_path / "data"))
    changes = {"budget": 40, "targets": {"lcm_confidence": [0.0], "lcm_tail": 0.0}}
    with Session.create(tmp_path / "p", project_config(data, method, **changes)) as session:
        if session.round == 0:
            session.train()
        answer_some(session, 3)
        session.undo()
        session.amend(session.answers()[0].id, Oracle(session.data).answer(session.query()))
        last = session.config.classes[-1].model_copy(update={"merged_into": 2})
        session.edit_classes((*session.config.classes[:-1], last))
        answer_some(session, 4)
        session.train()
        session.undo()
        session.redo()
        answer_some(session, 3)
        session.train()
        (tmp_path / "again.py").write_text(script_of(session))

    done = subprocess.run(
        [sys.executable, str(tmp_path / "again.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = tmp_path / "p-again"
    assert len(targets(again)) > 4
    assert targets(again) == targets(tmp_path / "p")
    for model in (tmp_path / "p" / "models").glob("*.safetensors"):
        first_weights, weights = load_file(model), load_file(again / "models" / model.name)
        assert first_weights.keys() == weights.keys()
        assert all((first_weights[name] == weights[name]).all() for name in weights)
    with Session.open(again) as repeated, Session.open(tmp_path / "p") as first:
        assert repeated.answers() == first.answers()
        assert repeated.corrections() == first.corrections()
        assert repeated.config.classes == first.config.classes
        assert [row["clicks"] for row in repeated.rounds()] == [r["clicks"] for r in first.rounds()]
