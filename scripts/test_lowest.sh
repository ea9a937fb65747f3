#!/bin/sh
# Runs tests with the lowest versions that pyproject.toml allows, in .venv-lowest: those that touch
# every package, or the ones named. torch alone is the version of constraints.txt (its oldest builds
# need other Pythons); what our requirements require in turn is the newest that fits.
set -eu
cd "$(dirname "$0")/.."
python=.venv-lowest/bin/python
torch=$(grep '^torch==' constraints.txt)

mkdir -p build
echo "torch ; python_version < '3'" >build/no-torch.txt
.venv/bin/python -m uv pip compile -q --resolution lowest-direct --python .venv/bin/python \
    --override build/no-torch.txt --extra pyqt5 --extra transformers --extra zarr --extra onnx \
    --extra test --no-header --no-annotate pyproject.toml -o build/lowest.txt
if ! cmp -s build/lowest.txt .venv-lowest/installed.txt; then
    .venv/bin/python -m venv --clear .venv-lowest
    $python -m pip install -q --disable-pip-version-check "$torch" -r build/lowest.txt
    $python -m pip install -q --disable-pip-version-check --no-deps -e .
    cp build/lowest.txt .venv-lowest/installed.txt
fi
# An old Pillow writes no 4-bit PNG; it reads them.
[ $# -gt 0 ] || set -- tests/core tests/formats tests/learning tests/tools \
    tests/session/test_session.py tests/test_cli.py tests/test_public_api.py \
    --deselect "tests/formats/test_images.py::test_pixels_come_as_stored[4 bit grey png]"
# Old versions warn of each other's newer ones; that is not ours to mend.
# transformers 4 imports TensorFlow where some package has brought it along.
USE_TF=0 QT_API=pyqt5 PYTEST_QT_API=pyqt5 scripts/with_display.sh $python -m pytest -q \
    -W ignore::DeprecationWarning -W ignore::FutureWarning "$@"
