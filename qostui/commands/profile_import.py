"""A profile from an existing `rucio.cfg`: what it says goes along, its pass word does not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..adapters import rucio_cfg, secret_files
from ..domain.errors import UsageProblem
from ..domain.profile import AUTH_METHODS, Secret
from .profile import say

_USED = {
    "userpass": ("username",),
    "x509": ("certificate", "key"),
    "x509_proxy": ("proxy",),
    "oidc": ("scope", "audience"),
}
"""Way of logging in -> the keys that only it uses: a rucio.cfg often names more than it needs."""
_ONLY_ONE_USES = frozenset(key for keys in _USED.values() for key in keys)


def values(
    source: Path, name: str, given: Mapping[str, Any], password_file: Path | None, env: Mapping[str, str]
) -> tuple[dict[str, Any], Callable[[], None] | None]:
    """Keys of the profile, and what is to be done once they are found good: writing the pass word to its new file.

    `given` wins over the file; None in it leaves a key out. Raises UsageProblem.
    """
    section = rucio_cfg.client_section(source)
    auth = str(given.get("auth") or section.get("auth_type") or "")
    if auth not in AUTH_METHODS:
        said = f"logs in by {auth}, which the console cannot do" if auth else "does not say how to log in (auth_type)"
        raise UsageProblem(f"{source} {said}", step=f"choose another way: auth=..., one of {', '.join(AUTH_METHODS)}")
    # What is not used is not looked at: its variable may not be set here.
    left_out = {*given, *(_ONLY_ONE_USES - set(_USED[auth]))}
    asked = {option: text for option, text in section.items() if rucio_cfg.OPTIONS.get(option) not in left_out}
    merged: dict[str, Any] = {**rucio_cfg.profile_values(asked, env, source), **given}
    if merged.get("auth_host") == merged.get("rucio_host"):
        merged.pop("auth_host", None)
    if auth == "x509_proxy" and not merged.get("proxy"):
        merged["proxy"] = f"/tmp/x509up_u{os.geteuid()}"  # noqa: S108 - where Rucio's client looks too; owner and mode are checked on reading
    if auth == "oidc" and not any(merged.get(key) for key in ("token_file", "oidc_agent", "issuer")):
        raise UsageProblem(
            f"{source} does not say where the token comes from", step="add token_file=PATH, oidc_agent=ACCOUNT, or issuer=URL client_id=ID"
        )
    password = Secret(section[rucio_cfg.PASSWORD]) if section.get(rucio_cfg.PASSWORD) else None
    if password_file is not None:
        if password is None or auth != "userpass":
            raise UsageProblem(f"{source} gives no pass word to write", step="leave out --password-file")
        target = Path(os.path.abspath(os.path.expanduser(password_file)))
        _check_target(target)
        merged["password_file"] = str(target)
        return merged, lambda: _write(target, password, source)
    if auth == "userpass" and not merged.get("password_file") and not merged.get("password_keyring"):
        if password is None:
            raise UsageProblem(f"{source} has no pass word", step="add password_file=PATH or password_keyring=ENTRY")
        raise UsageProblem(
            f"the pass word in {source} is not copied into our configuration",
            step=f"give --password-file PATH, a new file (0600), or put it into the keyring (keyring set qostui {name}) "
            f"and give password_keyring={name}",
        )
    return merged, (lambda: _remind(source)) if password is not None else None


def _check_target(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageProblem(f"{target} is there already, and is not written over", step="choose a new file for the pass word")
    parent = target.parent
    if parent.exists() and (not parent.is_dir() or parent.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise UsageProblem(f"{parent} is no place for a pass word: others can write there", step="choose a directory of your own")


def _write(target: Path, password: Secret, source: Path) -> None:
    try:
        if not target.parent.exists():
            secret_files.private_directory(target.parent)
        secret_files.write_secret(target.parent, target.name, f"{password.reveal()}\n".encode())
    except OSError as error:
        raise UsageProblem(f"{target} cannot be written: {error.strerror}", step="choose another file for the pass word") from error
    say(f"the pass word is in {target} (mode 0600)")
    _remind(source)


def _remind(source: Path) -> None:
    try:
        problem = secret_files.mode_problem(source)
    except OSError:
        return
    say(f"{source} holds the pass word too{f', and {problem}' if problem else ''}: take it out there when nothing else needs it")
