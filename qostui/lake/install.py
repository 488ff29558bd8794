"""Installs a lake: its environment, its code, its ports and a seeded image. What is there and right is kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import places, ports
from .inside.state import Facts, State

SYSTEM_PYTHON = Path("/usr/bin/python3")
"""Debian's own: a version manager's shim may come first in PATH, and gfal2's extension fits this one only."""
DEFAULT_RUCIO = "41.5.1"
RUCIO_VERSIONS = ("41.5.1", "40.4.2")
"""40.4.2 is the last that still transfers over GridFTP."""
Say = Callable[[str], None]
_NO_GFAL2 = "Debian's python3-gfal2 is missing: install it (make setup does it)"


class InstallError(Exception):
    """The lake cannot be installed; the text says why and what to do."""


def install(state: State, say: Say, *, rucio: str = DEFAULT_RUCIO, like: State | None = None, empty: bool = False) -> bool:
    """Install or update the lake of `state`; False when everything was there already.

    `like` takes environment and image from another installed lake instead of building them; an `empty` lake has
    people, RSEs and quotas but neither data nor rules. Raises InstallError.
    """
    from . import control

    _require_programs()
    wanted = fingerprint(rucio, empty=empty)
    facts = _facts(state)
    if facts is not None and facts.fingerprint == wanted and state.image.exists():
        return False
    if like is not None:
        _require_alike(like, rucio)
    if facts is not None and control.supervisor_pid(state) is not None:
        raise InstallError(f"the lake in {state.root} is running and out of date: bring it down first (qostui lake down)")
    state.root.mkdir(parents=True, exist_ok=True)
    os.chmod(state.root, 0o755)  # noqa: S103  # the service user has to pass; secrets lie in 0700 directories below
    with _locked(state):
        if facts is None or facts.rucio != rucio:
            facts = Facts(id=secrets.token_hex(3), rucio=rucio, user=places.service_user())
        if not facts.ports:
            ports.choose(facts)
        facts.fingerprint = ""
        _install_environment(state, rucio, like, say)
        _install_code(state)
        state.write(facts)
        _give_to_service(state, facts)
        if like is not None and not empty:
            say(f"image from {like.root}")
            _copy_image(like, state, facts)
        else:
            say("building an empty image" if empty else "building the seed image (about two minutes)")
            control.run_step(state, "image-empty" if empty else "image", say)
        control.run_step(state, "reset", say)
        facts.fingerprint = wanted
        state.write(facts)
    return True


def _require_alike(like: State, rucio: str) -> None:
    """A database of one version must not come under the code of another, nor a half-made image under any."""
    other = _facts(like)
    if other is None or not other.fingerprint:
        raise InstallError(f"the lake in {like.root} is not fully installed: run qostui lake --state {like.root} install")
    if other.rucio != rucio:
        raise InstallError(f"the lake in {like.root} has Rucio {other.rucio}, not {rucio}")


def fingerprint(rucio: str, *, empty: bool = False) -> str:
    """Digest of all that decides what an installed lake is: pinned packages and the code that runs inside."""
    digest = hashlib.sha256(places.lock_file(rucio).read_bytes())
    digest.update(b"empty" if empty else b"seeded")
    for path in _code_files():
        digest.update(str(path.relative_to(_inside())).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _inside() -> Path:
    return Path(__file__).resolve().parent / "inside"


def _code_files() -> list[Path]:
    return sorted(path for path in _inside().rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _facts(state: State) -> Facts | None:
    try:
        return state.read()
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise InstallError(f"{state.facts_file} cannot be read ({error}): remove {state.root} and install again") from error


def _require_programs() -> None:
    missing = [
        name
        for name in ("xrootd", "globus-gridftp-server", "voms-proxy-fake", "openssl")
        if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None
    ]
    if missing:
        raise InstallError(
            f"programs are missing: {', '.join(missing)}. Install the Debian packages of setup/packages.txt (make setup does it)"
        )
    if _gfal2_extension() is None:
        raise InstallError(_NO_GFAL2)


def _gfal2_extension() -> Path | None:
    return next(iter(sorted(Path("/usr/lib/python3/dist-packages").glob("gfal2.cpython-*.so"))), None)


def _install_environment(state: State, rucio: str, like: State | None, say: Say) -> None:
    """The virtual environment, pinned by hashes, with Debian's gfal2 extension linked in and nothing else of Debian's."""
    lock = places.lock_file(rucio)
    stamp = state.env / "requirements.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(state.env, ignore_errors=True)
    if like is not None and (like.env / stamp.name).exists() and (like.env / stamp.name).read_text() == wanted:
        say(f"environment from {like.root}")
        _share(like.env, state.env)
        return
    say(f"environment with Rucio {rucio} (about a minute)")
    _run([str(SYSTEM_PYTHON), "-m", "venv", str(state.env)])
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "REQUESTS_", "HOME", "PATH", "LANG", "http", "HTTP"))
    }
    _run(
        [str(state.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)], env=kept
    )
    extension = _gfal2_extension()
    if extension is None:
        raise InstallError(_NO_GFAL2)
    packages = next(iter((state.env / "lib").glob("python3*"))) / "site-packages"
    (packages / extension.name).symlink_to(extension)
    _run(["/bin/chmod", "-R", "a+rX", str(state.env)])
    stamp.write_text(wanted)


def _share(source: Path, target: Path) -> None:
    """Hard links where they are allowed (nothing writes into an environment), copies where they are not."""
    try:
        _run(["/bin/cp", "-al", str(source), str(target)])
    except InstallError:
        shutil.rmtree(target, ignore_errors=True)
        _run(["/bin/cp", "-a", "--reflink=auto", str(source), str(target)])


def _install_code(state: State) -> None:
    shutil.rmtree(state.code, ignore_errors=True)
    for path in _code_files():
        target = state.code / "inside" / path.relative_to(_inside())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.name == "tape_stage.py" else 0o644)
    _run(["/bin/chmod", "-R", "a+rX", str(state.code)])


def _give_to_service(state: State, facts: Facts) -> None:
    """Only what the services write is theirs: the code and the environment they run stay the installer's."""
    account = pwd.getpwnam(facts.user)
    for place in (state.live, state.image):
        place.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(place, account.pw_uid, account.pw_gid)
        place.chmod(0o700)


def _copy_image(source: State, target: State, facts: Facts) -> None:
    _run(["/bin/cp", "-a", "--reflink=auto", f"{source.image}/.", f"{target.image}/"])
    if os.geteuid() == 0:
        account = pwd.getpwnam(facts.user)
        _run(["/bin/chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(target.image)])


@contextmanager
def _locked(state: State) -> Iterator[None]:
    """One installer at a time for one state directory."""
    with (state.root / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstallError(f"another installation works on {state.root}") from None
        yield


def _run(argv: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"{' '.join(argv[:4])} failed with {done.returncode}: {done.stderr.strip()[-2000:]}")
