"""Importing OpenCV must leave the environment as it was, or napari aborts when Qt starts."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
before = dict(os.environ)
from napari_al.core.opencv import cv2
assert cv2.__version__
changed = {k for k in before.keys() | os.environ.keys() if before.get(k) != os.environ.get(k)}
assert not changed, changed
"""


@pytest.mark.parametrize(
    "environment",
    [{}, {"QT_QPA_PLATFORM_PLUGIN_PATH": "/mine", "QT_QPA_FONTDIR": "/fonts"}],
    ids=["unset", "set by the user"],
)
def test_import_leaves_the_environment_alone(environment):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
