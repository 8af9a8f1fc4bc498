#!/bin/sh
# Install rotator from this checkout into a folder of its own: sh deploy/install.sh /opt/rotator
#
# Whatever is fetched is checked by its hash in the two files beside this one, what builds the package as well as what
# it needs. pip stays outside of the folder. An installation that is there already is replaced.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
destination=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/build"
pip() { "$scratch/build/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --require-hashes --only-binary=:all: --requirement "$here/build-requirements.txt"
pip wheel --no-deps --no-build-isolation --wheel-dir "$scratch" "$here/.."

python3 -m venv --clear --without-pip "$destination"
python=$destination/bin/python
pip --python "$python" install --require-hashes --only-binary=:all: --requirement "$here/requirements.txt"
pip --python "$python" install --no-deps --no-index "$scratch"/*.whl
