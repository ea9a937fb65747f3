#!/bin/sh
# All checks, in two streams of about the same length, as two cores allow: the window on PyQt6, and
# beside it lint, docs, everything else, and the window's tests marked `smoke`, which show that
# PyQt5 works.
set -eu
cd "$(dirname "$0")/.."
# a thread for each stream: two that ask for both cores wait for each other
export OMP_NUM_THREADS=1
# tests start many processes; those after the first need not compile anything
unset PYTHONDONTWRITEBYTECODE

run() { # on a binding
    binding=$1
    shift
    QT_API=$binding PYTEST_QT_API=$binding scripts/with_display.sh \
        .venv/bin/python -m pytest -q --durations=30 "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run pyqt6 tests/plugin >"$log" 2>&1 &
failed=
make lint || failed="$failed, lint"
make docs || failed="$failed, docs"
run pyqt5 --ignore tests/plugin || failed="$failed, what is not the window"
run pyqt5 -m smoke tests/plugin || failed="$failed, the window on PyQt5"
wait $! || failed="$failed, the window on PyQt6"
echo "The window on PyQt6:"
cat "$log"
[ -z "$failed" ] || {
    echo "failed: ${failed#, }" >&2
    exit 1
}
