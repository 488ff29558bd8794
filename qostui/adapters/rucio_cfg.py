"""The [client] section of a `rucio.cfg`, as the keys of a profile (rucio-clients 41.5.1: client/baseclient.py, common/config.py).

Standard library only: the environment is read by it before anything else is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..domain.errors import UsageProblem

OPTIONS = {
    "rucio_host": "rucio_host",
    "auth_host": "auth_host",
    "account": "account",
    "auth_type": "auth",
    "username": "username",
    "vo": "vo",
    "client_cert": "certificate",
    "client_key": "key",
    "client_x509_proxy": "proxy",
    "ca_cert": "ca",
    "oidc_scope": "scope",
    "oidc_audience": "audience",
}
"""Option of [client] -> key of a profile. `oidc_issuer` is not among them: it is the server's nickname of a provider."""
PATHS = ("certificate", "key", "proxy", "ca")
PASSWORD = "password"  # noqa: S105 - the name of the option
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SECRET_NAME = re.compile(r"(?i)token|pass|secret")


def client_section(path: Path) -> dict[str, str]:
    """The options of [client] as they stand, by Rucio's names; raises UsageProblem."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}", step="check the path") from None
    except (configparser.Error, UnicodeDecodeError):
        # Without the parser's words: they quote the line, and the line may be the pass word's.
        raise UsageProblem(f"{path} is not a rucio.cfg", step="it has sections such as [client] and lines such as account = ...") from None
    if not parser.has_section("client"):
        raise UsageProblem(f"{path} has no section [client]", step="a server's file does not say who a client is")
    return dict(parser["client"])


def profile_values(section: Mapping[str, str], env: Mapping[str, str], path: Path, *, strict: bool = True) -> dict[str, str]:
    """Keys of a profile for what the section says, with `$VARIABLES` and `~` of paths expanded.

    A directory as ca_cert is `ca_path`. The pass word is not among them. When `strict`, a variable that is not set or may be a
    secret raises UsageProblem; else it stays as it is.
    """
    values = {key: _expanded(section[option], option, env, path, strict) for option, key in OPTIONS.items() if section.get(option)}
    for key in PATHS:
        if key in values:
            values[key] = os.path.abspath(os.path.expanduser(values[key]))
    if "ca" in values and os.path.isdir(values["ca"]):
        values["ca_path"] = values.pop("ca")
    return values


def _expanded(value: str, option: str, env: Mapping[str, str], path: Path, strict: bool) -> str:
    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        secret = _SECRET_NAME.search(name) is not None
        if name in env and not secret:
            return env[name]
        if not strict:
            return found[0]
        what = "may be a secret" if secret else "is not set"
        raise UsageProblem(f"{path}: {option} takes ${name}, which {what}", step=f"give the value itself: {OPTIONS[option]}=...")

    return _VARIABLE.sub(one, value)
