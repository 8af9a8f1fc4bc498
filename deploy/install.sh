#!/bin/sh
# Install rotator from this checkout into a folder of its own: sh deploy/install.sh /opt/rotator
#
# Whatever is fetched is checked by its hash in the two files beside this one, what builds the package as well as what
# it needs. pip stays outside of the folder. An installation that is there already is replaced, once all is fetched.
set -eu
# Others run what is installed here: the user that a unit or a container gets.
umask 022

here=$(cd "$(dirname "$0")" && pwd)
destination=${1:?usage: sh deploy/install.sh FOLDER}
if [ -e "$destination" ] && ! [ -e "$destination/pyvenv.cfg" ] && [ -n "$(ls -A "$destination")" ]; then
  echo "install.sh: $destination holds something else than an installation, and would be emptied" >&2
  exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/build"
pip() { "$scratch/build/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --require-hashes --only-binary=:all: --requirement "$here/build-requirements.txt"
pip wheel --no-deps --no-build-isolation --wheel-dir "$scratch" "$here/.."
pip download --require-hashes --only-binary=:all: --dest "$scratch/needed" --requirement "$here/requirements.txt"

python3 -m venv --clear --without-pip "$destination"
put() { pip --python "$destination/bin/python" install --no-deps --no-index "$@"; }
put --require-hashes --find-links "$scratch/needed" --requirement "$here/requirements.txt"
put "$scratch"/*.whl
