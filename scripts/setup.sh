#!/bin/sh
# Makes .venv with everything that the program and its tests need, and installs the system packages
# that Qt and a virtual display need. Does only what is missing; a second run takes no time and no
# network. PYTHON=/path/to/python chooses the Python.
set -eu
cd "$(dirname "$0")/.."

DEBIAN_PACKAGES="xvfb xauth libgl1-mesa-dri libgl1 libegl1 libglib2.0-0 libfontconfig1 \
libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
libxcb-xinerama0 libxcb-shape0 libxcb-cursor0 libdbus-1-3"

say() { printf 'setup: %s\n' "$*"; }

is_installed() { # also true if another package provides it, as libglib2.0-0t64 does
    printf '%s\n' "$known_packages" | grep -q -E "(^|[ ,(])$1([ ,)]|$)"
}

install_system_packages() {
    command -v apt-get >/dev/null || {
        [ "$(uname)" = Darwin ] || say "not a Debian system: tests need Xvfb, xauth and Mesa's GL"
        return 0
    }
    known_packages=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' | grep '^installed')
    missing=
    for package in $DEBIAN_PACKAGES "$@"; do
        is_installed "$(printf %s "$package" | sed 's/[.+]/\\&/g')" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root="sudo -n"
        if ! sudo -n true 2>/dev/null; then
            say "please run: sudo apt-get install --no-install-recommends$missing"
            return 0
        fi
    fi
    say "installing system packages:$missing"
    # shellcheck disable=SC2086 # both are lists
    if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing; } </dev/null; then
        say "that failed; please run: apt-get install --no-install-recommends$missing"
    fi
}

# Prints the first Python that is new enough (and not so new that the pins have no wheels).
find_python() {
    for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            command -v "$python"
            return 0
        fi
    done
    return 1
}

stamp=.venv/.setup-done
state="$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum) $(pwd)"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    exit 0
fi

if ! python=$(find_python); then
    say "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/python" >&2
    exit 1
fi
if "$python" -c 'import ensurepip' 2>/dev/null; then
    install_system_packages
else # Debian keeps venv's pip in a package of its own
    install_system_packages "$(basename "$(readlink -f "$python")")-venv"
fi

# A folder that was moved has scripts that point to where it was.
if ! .venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
    2>/dev/null || ! grep -q -F "$(pwd)/.venv" .venv/bin/activate; then
    say "making .venv with $python"
    "$python" -m venv --clear .venv
fi
say "installing packages (a few minutes the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check --no-compile \
    -c constraints.txt -e '.[pyqt5,pyqt6,efficientnet,transformers,onnx,zarr,bioimageio,docs,test,lint]'
# on all cores, where pip would use one; some files are for other Pythons, so that errors are normal
.venv/bin/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true
printf '%s\n' "$state" >"$stamp"
say "done"
