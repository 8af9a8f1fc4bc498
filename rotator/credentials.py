"""References to secrets, followed: the one home of the environment and of files that hold a secret.

No message ever shows what was found, only where it was looked for.
"""

from __future__ import annotations

import getpass
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from rotator.errors import PolicyError, Problem
from rotator.model.secret import Secret
from rotator.policy.settings import SecretReference, SecretSource

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd says where it put the credentials of this unit."""

MOST_BYTES = 64 * 1024
"""A larger file is no secret but a mistaken path."""

MOUNTED_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))
"""Where container platforms mount secrets, readable by all who live in the container
(https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken,
https://docs.docker.com/engine/swarm/secrets/)."""

_LONGEST_ACCOUNT, _LONGEST_PERSON = 64, 200

_SEE = "see that it is there, and that this user may read it"

_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
_WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

_CONTAINER = (
    "in a container, mount it read-only below /run/secrets, where what the container may read is taken"
)
_OURS_ALONE = f"give it the mode 600 or 400; {_CONTAINER}"


def variable(name: str) -> str | None:
    """Return an environment variable, None when it is not set or empty."""
    return os.environ.get(name) or None


def person() -> str:
    """Return who gives orders from this process: an account and a machine, as the operating system knows them.

    It is kept in Vault: a short text without control characters, whatever the environment says.
    """
    try:
        account = variable("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        account = f"uid {os.getuid()}"
    shown = "".join(c for c in f"{account[:_LONGEST_ACCOUNT]}@{socket.gethostname()}" if c.isprintable())
    return shown[:_LONGEST_PERSON]


def read(reference: SecretReference) -> Secret:
    """Return the secret that `reference` leads to, read afresh at each call.

    Raise PolicyError, with the reference and without anything that was found, when there is none, or when other
    users of this machine can read the file or exchange it.
    """
    text = _look_up(reference)
    try:
        return Secret(text)
    except ValueError as error:
        _refuse(reference, str(error), "it is one line of visible characters")


def check_file(path: str) -> None:
    """Make sure that a file of several lines, such as a private key, is one of ours alone.

    Raise PolicyError, as `read` does, when there is none or when other users of this machine can read or exchange it.
    """
    reference = SecretReference(SecretSource.FILE, path)
    try:
        _check_ours(reference, Path(path), Path(path).stat())
    except (OSError, ValueError) as error:
        _refuse(reference, f"can't be read ({_cause(error)})", _SEE)


def exchangeable(path: Path, writers: int) -> Path | None:
    """Return the folder on the way to a file in which others can exchange it, or what leads to it; None without one.

    `writers` are the bits of a folder's mode that let others in. In a folder with the sticky bit, such as /tmp, everybody
    exchanges only what is their own. In a ConfigMap's folder, mounted read-only, nobody but the kubelet does, though its mode is
    0777 (`perm` in https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/emptydir/empty_dir.go). Raise OSError when
    the way can't be followed.
    """
    for folder in _folders_to(path):
        mode = folder.stat().st_mode
        if mode & writers and not mode & stat.S_ISVTX and not _of_kubelet(folder):
            return folder.resolve()
    return None


def _of_kubelet(folder: Path) -> bool:
    """Return whether it is a folder of files that the kubelet mounts, with its own link by which it exchanges all of them at once.

    Another one that is mounted read-only may be written to by those outside. To its services, systemd shows everything read-only
    (`ProtectSystem=strict`), which says nothing of others.
    """
    if variable("INVOCATION_ID") or not os.path.ismount(folder) or not _read_only(folder):
        return False
    link = folder / "..data"
    return link.is_symlink() and link.lstat().st_uid == folder.stat().st_uid


def _look_up(reference: SecretReference) -> str:
    match reference.source:
        case SecretSource.ENV:
            text = variable(reference.name)
            if text is None:
                _refuse(reference, "the variable is not set, or empty", "set it for this process")
            return text
        case SecretSource.FILE:
            return _read_file(reference, Path(reference.name))
        case SecretSource.SYSTEMD:
            directory = variable(CREDENTIALS_DIRECTORY)
            if directory is None:
                hint = "write `LoadCredential=` into the unit, and let systemd start this process"
                _refuse(reference, f"${CREDENTIALS_DIRECTORY} is not set", hint)
            return _read_file(reference, Path(directory) / reference.name)


def _read_file(reference: SecretReference, path: Path) -> str:
    """Return the file's text without the one newline that editors and `echo` put at its end."""
    try:
        # Looked at before it is opened, as opening a pipe would wait for somebody to write; and again what was opened,
        # as it may be another file by then.
        _check_ours(reference, path, path.stat())
        with path.open("rb") as file:
            _check_ours(reference, path, os.fstat(file.fileno()))
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        _refuse(reference, f"can't be read ({_cause(error)})", _SEE)
    if len(content) > MOST_BYTES:
        _refuse(
            reference, f"larger than {MOST_BYTES // 1024} KiB", "the file holds the secret and nothing else"
        )
    text = _decoded(content)
    if text is None:
        _refuse(reference, "not UTF-8 text", "the file holds the secret and nothing else")
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _check_ours(reference: SecretReference, path: Path, status: os.stat_result) -> None:
    """Refuse what is no file of ours alone: `status` is that of what is read, `path` leads to it."""
    if not stat.S_ISREG(status.st_mode):
        _refuse(reference, "not a regular file")
    if _passed_by_systemd(path) or _mounted(path):
        return
    if status.st_mode & _WRITTEN_BY_OTHERS:
        _refuse(reference, "other users can write into the file", _OURS_ALONE)
    if status.st_mode & _READ_BY_OTHERS:
        _refuse(reference, "other users can read the file", _OURS_ALONE)
    folder = exchangeable(path, _WRITTEN_BY_OTHERS)
    if folder is not None:
        what = "other users can put another file in its place"
        cure = f"take the right to write from group and others (chmod go-w {folder}); {_CONTAINER}"
        _refuse(reference, what, cure)


def _folders_to(path: Path) -> Iterator[Path]:
    """Yield every folder that leads to a file: of its path, and of what each link in that, or in those, says."""
    left, met = [path.absolute()], set[Path]()
    while left:
        one = left.pop()
        for place in (one, *one.parents):
            if place in met:
                continue
            met.add(place)
            if place.is_symlink():
                left.append(place.parent / place.readlink())
            yield place.parent


def _decoded(content: bytes) -> str | None:
    """Return the text of `content`. None and no error: a UnicodeDecodeError carries what it failed on."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _passed_by_systemd(path: Path) -> bool:
    """Return whether the directory protects the file: systemd gives it to this unit only."""
    directory = variable(CREDENTIALS_DIRECTORY)
    return directory is not None and path.resolve().is_relative_to(Path(directory).resolve())


def _mounted(path: Path) -> bool:
    """Return whether a container platform put the file there: in one of its places, read-only mounted.

    Who can read such a file lives in the same container. Whose it is says nothing: what Compose mounts belongs to a user
    of the machine outside, and what a sidecar writes to the sidecar's. On a machine without containers, a file there that
    anybody may read is on a writable file system, and is refused as everywhere.
    """
    real = path.resolve()
    return any(real.is_relative_to(place) for place in MOUNTED_SECRETS) and _read_only(path)


def _read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _cause(error: OSError | ValueError) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"


def _refuse(reference: SecretReference, what: str, hint: str = "") -> NoReturn:
    raise PolicyError(
        (Problem(file=str(reference), line=0, column=0, path="", what=what, hint=hint),)
    ) from None
