from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.credentials import CREDENTIALS_DIRECTORY, MOST_BYTES, check_file, person, read, variable
from rotator.errors import PolicyError
from rotator.model.secret import Secret
from rotator.policy.settings import SecretReference, SecretSource
from tests.support.canary import secret_text

pytestmark = pytest.mark.promise("P7")

VALUE = secret_text("credential")


SEE = " (see that it is there, and that this user may read it)"


def in_env(name: str = "A_KEY") -> SecretReference:
    return SecretReference(SecretSource.ENV, name)


def in_file(path: Path) -> SecretReference:
    return SecretReference(SecretSource.FILE, str(path))


def in_systemd(name: str = "key") -> SecretReference:
    return SecretReference(SecretSource.SYSTEMD, name)


def written(path: Path, content: str | bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def refusal(reference: SecretReference) -> str:
    with pytest.raises(PolicyError) as caught:
        read(reference)
    assert caught.value.__cause__ is None
    (problem,) = caught.value.problems
    assert problem.file == str(reference)
    return str(problem).removeprefix(f"{reference}: ")


def test_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", VALUE)
    assert read(in_env()).matches(Secret(VALUE))
    monkeypatch.setenv("A_KEY", "")
    assert refusal(in_env()) == "the variable is not set, or empty (set it for this process)"
    monkeypatch.delenv("A_KEY")
    assert refusal(in_env()) == "the variable is not set, or empty (set it for this process)"


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://v")
    assert variable("VAULT_ADDR") == "https://v"
    monkeypatch.setenv("VAULT_ADDR", "")
    assert variable("VAULT_ADDR") is None


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_with_at_most_one_newline_at_its_end(tmp_path: Path, end: str) -> None:
    assert read(in_file(written(tmp_path / "k", VALUE + end))).matches(Secret(VALUE))


def test_a_file_is_read_afresh_each_time(tmp_path: Path) -> None:
    path = written(tmp_path / "k", VALUE)
    other = secret_text("other")
    assert read(in_file(path)).matches(Secret(VALUE))
    written(path, other)
    assert read(in_file(path)).matches(Secret(other))


@pytest.mark.parametrize(
    "content", [f"{VALUE}\n\n", f" {VALUE}", f"{VALUE}\nsecond line", f"{VALUE}\x00", "", "\n"]
)
def test_a_file_that_holds_more_or_less_than_a_secret(tmp_path: Path, content: str) -> None:
    assert refusal(in_file(written(tmp_path / "k", content))) == (
        "a secret is empty, has white space around it, or holds control characters "
        "(it is one line of visible characters)"
    )


def test_a_file_of_other_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "k", VALUE.encode() + b"\xff")
    assert refusal(in_file(path)) == "not UTF-8 text (the file holds the secret and nothing else)"


def test_a_large_file_is_a_mistake(tmp_path: Path) -> None:
    path = written(tmp_path / "k", VALUE + "x" * MOST_BYTES)
    assert refusal(in_file(path)) == "larger than 64 KiB (the file holds the secret and nothing else)"


OURS_ALONE = (
    " (give it the mode 600 or 400; in a container, mount it read-only below /run/secrets, where what the container may "
    "read is taken)"
)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "k", VALUE, mode=mode)
    assert refusal(in_file(path)) == "other users can read the file" + OURS_ALONE


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """They could make the program send their key, or log in as somebody else."""
    path = written(tmp_path / "k", VALUE, mode=mode)
    assert refusal(in_file(path)) == "other users can write into the file" + OURS_ALONE


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_file_that_others_can_exchange_is_refused(tmp_path: Path, mode: int) -> None:
    open_one, ours = tmp_path / "open", tmp_path / "ours"
    for folder in (open_one / "below", ours):
        folder.mkdir(parents=True)
        written(folder / "k", VALUE)
    (open_one / "link").symlink_to(ours / "k")
    (ours / "link").symlink_to(open_one / "below" / "k")
    paths = (open_one / "below" / "k", open_one / "link", ours / "link")
    for path in paths:
        assert read(in_file(path)).matches(Secret(VALUE))
    open_one.chmod(mode)
    for path in paths:
        told = refusal(in_file(path))
        assert told.startswith("other users can put another file in its place")
        assert f"(chmod go-w {open_one}); in a container, mount it" in told
    assert read(in_file(ours / "k")).matches(Secret(VALUE))
    open_one.chmod(mode | stat.S_ISVTX)
    for path in paths:
        assert read(in_file(path)).matches(Secret(VALUE))


def test_no_folder_on_the_way_may_be_open_however_many_links_lead_through_it(tmp_path: Path) -> None:
    """Who may write into a folder puts another one in place of what is in it, and so another file at the end."""
    for name in ("open/below", "ours", "first"):
        (tmp_path / name).mkdir(parents=True)
    written(tmp_path / "ours" / "k", VALUE)
    (tmp_path / "open" / "below" / "link").symlink_to(tmp_path / "ours" / "k")
    (tmp_path / "first" / "link").symlink_to("../open/below")
    paths = (tmp_path / "open" / "below" / "link", tmp_path / "first" / "link" / "link")
    for path in paths:
        assert read(in_file(path)).matches(Secret(VALUE))
    (tmp_path / "open").chmod(0o777)
    for path in paths:
        assert f"(chmod go-w {tmp_path / 'open'})" in refusal(in_file(path))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    assert refusal(in_file(tmp_path / "none")) == f"can't be read (No such file or directory){SEE}"
    assert refusal(in_file(tmp_path)) == "not a regular file"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refusal(in_file(tmp_path / "pipe")) == "not a regular file"
    assert refusal(SecretReference(SecretSource.FILE, "/a\0b")) == f"can't be read (not a path){SEE}"


def test_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CREDENTIALS_DIRECTORY, raising=False)
    assert refusal(in_systemd()).startswith("$CREDENTIALS_DIRECTORY is not set (write `LoadCredential=`")
    monkeypatch.setenv(CREDENTIALS_DIRECTORY, str(tmp_path))
    assert refusal(in_systemd()) == f"can't be read (No such file or directory){SEE}"
    path = written(tmp_path / "key", f"{VALUE}\n", mode=0o440)
    assert read(in_systemd()).matches(Secret(VALUE))
    assert read(in_file(path)).matches(Secret(VALUE))


# Where container platforms put secrets

UNSHARE = shutil.which("unshare") or ""
MOUNT = """
set -e
mount -t tmpfs none /run
mkdir -p /run/secrets/app && mount -t tmpfs none /run/secrets/app
cd /run/secrets/app
mkdir ..2026 && printf %s "$VALUE" >..2026/token && chmod "$MODE" ..2026/token
ln -s ..2026 ..data && ln -s ..data/token token
if [ "$OUTSIDE" ]; then
  touch outside && mount --bind "$OUTSIDE" outside && mount -o remount,bind,ro outside
fi
mount -o "remount,$ACCESS" /run/secrets/app
mkdir /run/shared /run/bound && mount -t tmpfs -o mode=0777 none /run/shared
cp -a ..2026/token /run/shared/token && mount --bind /run/shared /run/bound && mount -o remount,bind,ro /run/bound
mkdir /run/map && mount -t tmpfs -o mode=0777 none /run/map
cp -a . /run/map && chmod 0777 /run/map && mount -o remount,ro /run/map
exec "$PYTHON" -c '
import sys
from rotator.credentials import read
from rotator.errors import PolicyError
from rotator.policy.settings import SecretReference, SecretSource
try:
    print(len(read(SecretReference(SecretSource.FILE, sys.argv[1])).reveal()))
except PolicyError as error:
    print(error)
' "$WHERE"
"""
"""As Kubernetes does it: a file system in memory, links to the version that counts, mounted to be read only."""


def in_container(where: str, *, mode: str, access: str, user: int = 0, file: Path | None = None) -> str:
    """Return what is read of a secret in namespaces of its own, where nobody else sees the mount.

    `file` of the machine is mounted there too, as `outside`.
    """
    mapped = (f"--map-user={user}", f"--map-group={user}", "--keep-caps")
    ran = subprocess.run(
        (UNSHARE, "--user", *mapped, "--mount", "/bin/sh", "-c", MOUNT),
        env={
            "PATH": os.defpath,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "VALUE": VALUE,
            "MODE": mode,
            "ACCESS": access,
            "OUTSIDE": str(file or ""),
            "WHERE": where,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        pytest.skip("namespaces are not to be had here")
    return ran.stdout.strip()


@pytest.mark.skipif(not UNSHARE, reason="needs Linux's unshare")
def test_a_file_that_a_container_platform_mounted_may_be_readable_in_the_container() -> None:
    for mode in ("0644", "0440"):
        assert in_container("/var/run/secrets/app/token", mode=mode, access="ro") == str(len(VALUE))


@pytest.mark.skipif(not UNSHARE, reason="needs Linux's unshare")
def test_a_projected_token_with_a_group_of_its_own_is_taken() -> None:
    """With `fsGroup`, the kubelet gives the token to the user of the container, and the group the right to read it
    (https://kubernetes.io/docs/concepts/storage/projected-volumes/#securitycontext-interactions)."""
    for mode in ("0640", "0600"):
        assert in_container("/var/run/secrets/app/token", mode=mode, access="ro", user=1000) == str(
            len(VALUE)
        )


@pytest.mark.skipif(not UNSHARE, reason="needs Linux's unshare")
def test_a_mounted_file_of_a_user_outside_the_container_is_taken(tmp_path: Path) -> None:
    """Compose mounts a file as it is on the machine, where somebody else owns it than who runs in the container
    (https://docs.docker.com/compose/how-tos/use-secrets/)."""
    path = written(tmp_path / "token", VALUE, mode=0o644)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    else:
        path = Path("/etc/hostname")
    length = len(path.read_text().strip())
    assert in_container("/run/secrets/app/outside", mode="0600", access="ro", file=path) == str(length)


@pytest.mark.skipif(not UNSHARE, reason="needs Linux's unshare")
def test_a_readable_file_in_such_a_place_that_could_be_written_to_is_refused() -> None:
    said = in_container("/run/secrets/app/token", mode="0644", access="rw")
    assert said.endswith("other users can read the file" + OURS_ALONE)


def test_a_private_key_is_held_to_the_same_rules(tmp_path: Path) -> None:
    key = written(tmp_path / "key", f"{VALUE}\nmore\n")
    check_file(str(key))
    key.chmod(0o644)
    with pytest.raises(PolicyError, match="other users can read the file"):
        check_file(str(key))
    with pytest.raises(PolicyError, match="not a regular file"):
        check_file(str(tmp_path))
    with pytest.raises(PolicyError, match="can't be read"):
        check_file(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("environment", "account"),
    [
        ({"LOGNAME": "ann"}, "ann"),
        ({"LOGNAME": "root", "SUDO_USER": "ann"}, "ann"),
        ({"LOGNAME": "a\x1b[31m\nnn"}, "a[31mnn"),
        ({"LOGNAME": "a" * 1000}, "a" * 64),
    ],
)
def test_who_gives_orders_is_a_short_text_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], account: str
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert person() == f"{account}@{socket.gethostname()}"


@pytest.mark.skipif(not UNSHARE, reason="needs Linux's unshare")
def test_only_what_the_kubelet_mounts_may_be_in_a_folder_that_all_may_write_into() -> None:
    """Those outside can write to the folder of another mount, however it is mounted inside."""
    assert in_container("/run/map/token", mode="0600", access="ro") == str(len(VALUE))
    for place in ("shared", "bound"):
        told = in_container(f"/run/{place}/token", mode="0600", access="ro")
        assert "other users can put another file in its place" in told
