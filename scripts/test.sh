#!/bin/sh
# All tests, in two streams of about the same length, as two cores allow: the window (fully on PyQt6;
# on PyQt5 the tests marked `smoke` show that the binding works), and beside it everything else.
set -eu
cd "$(dirname "$0")/.."
# a thread for each stream: two that ask for both cores wait for each other
export OMP_NUM_THREADS=1

run() { # on a binding
    binding=$1
    shift
    QT_API=$binding PYTEST_QT_API=$binding scripts/with_display.sh \
        .venv/bin/python -m pytest -q --durations=30 "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
(
    failed=0
    run pyqt6 tests/plugin || failed=1
    run pyqt5 -m smoke tests/plugin || failed=1
    exit "$failed"
) >"$log" 2>&1 &
others=0
run pyqt5 --ignore tests/plugin || others=$?
window=0
wait $! || window=$?
echo "The window, on PyQt6 and PyQt5:"
cat "$log"
[ "$others" = 0 ] && [ "$window" = 0 ]
