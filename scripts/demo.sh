#!/bin/sh
# Shows the program on the sample data: in a window where there is a display; else a simulated
# annotator works, and a curve and a screenshot are left behind.
set -eu
cd "$(dirname "$0")/.."
export QT_API="${QT_API:-pyqt6}"  # napari warns of PyQt5, which is installed for the tests, too
if [ "$(uname)" = Darwin ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec .venv/bin/napari-al demo "$@"
fi
exec scripts/with_display.sh .venv/bin/napari-al demo --simulated "$@"
