"""Files that hold secrets: read only when they are ours and private, written private and in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import mkstemp

from ..domain.errors import CredentialProblem

MAX_BYTES = 1 << 20


def mode_problem(path: Path) -> str:
    """What is wrong with the owner or mode of a secret file, in one line; "" when nothing is. Raises OSError."""
    return _problem(os.stat(path))


def _problem(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    # Root may use what it is pointed to: a service's files belong to the service.
    if os.geteuid() != 0 and found.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user (uid {found.st_uid})"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"can be read by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def read_secret(path: Path, what: str, *, own: bool = False) -> bytes:
    """The content of a secret file, after a look at the open file's owner and mode; raises CredentialProblem.

    `own`: a file the console wrote itself, so no symbolic link is followed and only our uid will do.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if own else 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise CredentialProblem(f"{what} {path}: {error.strerror}", step="make a new one, or mend the path in the profile") from error
    try:
        found = os.fstat(descriptor)
        problem = _problem(found) or ("is not ours" if own and found.st_uid != os.geteuid() else "")
        if problem:
            step = f"chmod 600 {path}" if "mode" in problem else "check who made it, then replace it"
            raise CredentialProblem(f"{what} {path} {problem}", step=step)
        content = b""
        while len(content) <= MAX_BYTES and (part := os.read(descriptor, MAX_BYTES + 1 - len(content))):
            content += part
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise CredentialProblem(f"{what} {path} is larger than 1 MiB", step="check the path in the profile")
    return content


def first_line(path: Path, what: str) -> str:
    """The first line of a secret text file; raises CredentialProblem."""
    try:
        text = read_secret(path, what).decode()
    except UnicodeDecodeError as error:
        raise CredentialProblem(f"{what} {path} is not text", step="check the path in the profile") from error
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise CredentialProblem(f"{what} {path} is empty", step="put the secret on its first line")
    return line


def private_directory(path: Path) -> Path:
    """The directory, made 0700 if missing; raises CredentialProblem when it is not ours alone."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = os.lstat(path)
    except OSError as error:
        raise CredentialProblem(f"cannot make {path}: {error.strerror}", step="free the path, or set XDG_RUNTIME_DIR") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise CredentialProblem(f"{path} is not a private directory of ours", step=f"look at what is there, then remove it: ls -ld {path}")
    return path


def write_secret(directory: Path, name: str, content: bytes) -> None:
    """Write 0600 under a temporary name, sync, rename; raises OSError."""
    descriptor, temporary = mkstemp(dir=directory, prefix=f".{name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, directory / name)
    except BaseException:
        os.unlink(temporary)
        raise
