"""Console profiles for the lake's identities, written into a configuration of the lake's own."""

from __future__ import annotations

from pathlib import Path

from .. import config
from .inside.state import State, url


def write(state: State, file: Path | None = None) -> Path:
    """Write one profile for each identity and return the file; a user's own configuration is never touched.

    Pass words and tokens stay in the lake's 0600 files: the configuration names those files only.
    """
    facts = state.read()
    rucio = url(facts, "rucio")
    common = {"rucio_host": rucio, "auth_host": rucio, "ca": str(state.ca), "ca_path": str(state.certificates)}
    profiles: dict[str, dict[str, object]] = {
        "lake-operator": {
            **common,
            "account": "ops",
            "auth": "userpass",
            "username": "ops",
            "password_file": str(state.password_file("ops")),
            "proxy": str(state.proxy("alice")),
            "color": "green",
        },
        "lake-proxy": {**common, "account": "ops", "auth": "x509_proxy", "proxy": str(state.proxy("alice")), "color": "blue"},
        "lake-token": {**common, "account": "alice", "auth": "oidc", "token_file": str(state.token_file("alice")), "color": "purple"},
        "lake-user": {
            **common,
            "account": "bob",
            "auth": "userpass",
            "username": "bob",
            "password_file": str(state.password_file("bob")),
            "color": "grey",
            "read_only": True,
        },
    }
    target = file or state.client / "qostui.toml"
    config.write_profiles(target, profiles, default_profile="lake-operator")
    return target
