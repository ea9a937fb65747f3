"""Start Qt and OpenGL, and print what they are: a program of its own, as a failing Qt aborts.

``python -m napari_al.plugin.qt_probe``; ``tools/doctor.py`` runs it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import qtpy
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtWidgets import QApplication


def probe() -> dict[str, Any]:
    """Return ``binding``, ``platform`` and ``gl`` (empty where there is no OpenGL context)."""
    app = QApplication([])
    found = {
        "binding": f"{qtpy.API_NAME} (Qt {qtpy.QT_VERSION})",
        "platform": QApplication.platformName(),
        "gl": _gl_strings(),
    }
    app.quit()
    return found


def _gl_strings() -> str:
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    if not context.create() or not context.makeCurrent(surface):
        return ""
    from OpenGL import GL

    strings = [GL.glGetString(name) for name in (GL.GL_RENDERER, GL.GL_VERSION)]
    context.doneCurrent()
    return ", OpenGL ".join(text.decode(errors="replace") for text in strings if text)


if __name__ == "__main__":
    print(json.dumps(probe()), flush=True)  # noqa: T201 - its output
    os._exit(0)  # some drivers crash when an interpreter ends
