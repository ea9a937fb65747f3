#!/bin/sh
# Installs the wheel of dist/ into .venv-bare and tries it there without Qt, with OpenCV packages that
# overwrite each other, and with PyQt6 alone: the program works or says in one line what is missing.
set -eu
cd "$(dirname "$0")/.."
top=$(pwd)
bin=$top/.venv-bare/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
pip() { "$bin/python" -m pip "$@" -q --disable-pip-version-check; }

fail() {
    printf 'bare: %s\n' "$*" >&2
    exit 1
}

works() { # a command
    say "works: napari-al $*"
    "$bin/napari-al" "$@" >"$work/out" 2>"$work/err" || {
        cat "$work/out" "$work/err" >&2
        fail "status $? of napari-al $*"
    }
}

refuses() { # words of its one line, and a command
    words=$1
    shift
    say "refuses: napari-al $*"
    status=0
    "$bin/napari-al" "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" = 2 ] || fail "status 2 was expected of napari-al $*, got $status"
    grep -q "^error: .*$words" "$work/err" || fail "no line with '$words': $(cat "$work/err")"
    ! grep -q Traceback "$work/err" || fail "a traceback: $(cat "$work/err")"
}

say() { printf 'bare: %s\n' "$*"; }

simulate() { # out, and further options: the shortest run there is
    out=$1
    shift
    set -- simulate "$work/data" --method classbal --segmenter filters --rounds 1 --budget 4 \
        --set training.steps=2 --set regions.n_per_image=20 --out "$work/$out" "$@"
    echo "$@"
}

.venv/bin/python -m venv --clear .venv-bare
pip install -c constraints.txt dist/*.whl
data=$("$bin/python" -c 'from napari_al.formats.sample import sample_data_path as p; print(p())')
for split in train val; do # three images of it are enough
    for kind in images labels; do
        mkdir -p "$work/data/$split/$kind"
        find "$data/$split/$kind" -type f | sort | head -3 | while read -r file; do
            cp "$file" "$work/data/$split/$kind"
        done
    done
done
cp "$data/classes.json" "$work/data"
cd "$work"

say "no Qt binding"
works --version
works methods
# shellcheck disable=SC2046 # a list of words
works $(simulate no-qt)
DISPLAY=:99 refuses "Qt binding" label "$work/data"

say "opencv-python-headless installed over ours"
pip install -c "$top/constraints.txt" --no-deps opencv-python-headless
# shellcheck disable=SC2046
refuses "pip uninstall -y opencv-python-headless" $(simulate clash)
# shellcheck disable=SC2046
works $(simulate clash-slic --set method.regions=slic)
"$bin/python" -m pip uninstall -q -y opencv-python-headless
pip install -c "$top/constraints.txt" --force-reinstall --no-deps opencv-contrib-python
# shellcheck disable=SC2046
works $(simulate mended)

say "PyQt6 alone"
pip install -c "$top/constraints.txt" PyQt6
QT_API=pyqt6 "$top/scripts/with_display.sh" "$bin/napari-al" demo --simulated --rounds 1 \
    --out "$work/demo" >"$work/out" 2>&1 || fail "$(tail -3 "$work/out")"
[ -s "$work/demo/screenshot.png" ] || fail "no screenshot"
say "all of it holds"
