#!/bin/sh
# Runs a command on a virtual display of its own, so that no window comes up on the real one.
set -eu
if command -v xvfb-run >/dev/null && command -v xauth >/dev/null; then
    unset WAYLAND_DISPLAY
    export QT_QPA_PLATFORM=xcb
    exec xvfb-run --auto-servernum --server-args="-screen 0 1920x1200x24" "$@"
fi
if [ "$(uname)" = Darwin ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
echo "No display, and no xvfb-run or xauth to make one; install the packages xvfb and xauth." >&2
exit 1
