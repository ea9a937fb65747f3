#!/bin/sh
# All tests: those of the window beside the others, as two cores allow. The window runs fully on
# PyQt6; on PyQt5 the tests marked `smoke` show that the binding works.
set -eu
cd "$(dirname "$0")/.."

run() { # on a binding
    binding=$1
    shift
    QT_API=$binding PYTEST_QT_API=$binding scripts/with_display.sh \
        .venv/bin/python -m pytest -q "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
(run pyqt6 tests/plugin && run pyqt5 -m smoke tests/plugin) >"$log" 2>&1 &
others=0
run pyqt5 --ignore tests/plugin || others=$?
window=0
wait $! || window=$?
echo "The window, on PyQt6 and PyQt5:"
cat "$log"
[ "$others" = 0 ] && [ "$window" = 0 ]
