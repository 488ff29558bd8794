"""The environment's credentials: read once into the profile `env`, then removed from the process.

Must run before rucio, requests or ssl are imported: all of them would otherwise let the environment speak for whatever
profile is in use (reference: rucio-clients 41.5.1 baseclient, requests `trust_env`, WLCG bearer token discovery).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping
from pathlib import Path

from ..domain.errors import UsageProblem
from ..domain.profile import AUTH_METHODS, Profile, Secret
from . import rucio_cfg

PREFIXES = ("RUCIO_", "X509_", "BEARER_", "OIDC_", "GFAL_")
NAMES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC", "KRB5CCNAME")
KEPT = ("GFAL_PYTHONBIN", "GFAL_PLUGIN_DIR", "GFAL_CONFIG_DIR")
"""Say where software lies, not who we are."""
_agent: list[str] = []


def take(env: MutableMapping[str, str] = os.environ) -> Profile | None:
    """The profile that the environment describes (None without a Rucio host and account), and a process without it."""
    taken = {name: env[name] for name in list(env) if _is_credential(name)}
    for name in taken:
        del env[name]
    env["RUCIO_CLIENT_MODE"] = "1"
    if taken.get("OIDC_SOCK"):
        _agent[:] = [taken["OIDC_SOCK"]]
    return _profile(taken, env.get("XDG_RUNTIME_DIR", ""))


def agent_socket() -> str:
    """The socket of the user's oidc-agent, which `take` found in $OIDC_SOCK; "" when there is none.

    One agent serves all profiles, each of which names an account of it; no library is to find it by itself.
    """
    return _agent[0] if _agent else ""


def _is_credential(name: str) -> bool:
    return (name.startswith(PREFIXES) or name in NAMES) and name not in KEPT


def _profile(taken: dict[str, str], runtime: str) -> Profile | None:
    host, account = taken.get("RUCIO_HOST", ""), taken.get("RUCIO_ACCOUNT", "")
    config, secret = _client_section(taken)
    host = host or config.get("rucio_host", "")
    account = account or config.get("account", "")
    if not host or not account:
        return None
    chosen: dict[str, Path] = {}
    sources: list[tuple[str, str]] = []

    def choose(key: str, *places: tuple[str, str]) -> None:
        for value, source in places:
            if value:
                chosen[key] = Path(os.path.expandvars(value)).expanduser()
                sources.append((key, source))
                return

    def variable(name: str) -> tuple[str, str]:
        return taken.get(name, ""), f"${name}"

    def configured(name: str) -> tuple[str, str]:
        return config.get(name, ""), "rucio.cfg"

    choose("certificate", variable("RUCIO_CLIENT_CERT"), configured("certificate"), variable("X509_USER_CERT"))
    choose("key", variable("RUCIO_CLIENT_KEY"), configured("key"), variable("X509_USER_KEY"))
    default_proxy = f"/tmp/x509up_u{os.geteuid()}"  # noqa: S108 - where every grid tool looks; owner and mode are checked on reading
    choose(
        "proxy",
        variable("RUCIO_CLIENT_PROXY"),
        configured("proxy"),
        variable("X509_USER_PROXY"),
        (default_proxy if os.path.isfile(default_proxy) else "", default_proxy),
    )
    bearer_default = f"{runtime or '/tmp'}/bt_u{os.geteuid()}"  # noqa: S108 - WLCG bearer token discovery; checked on reading
    choose("token_file", variable("BEARER_TOKEN_FILE"), (bearer_default if os.path.isfile(bearer_default) else "", bearer_default))
    choose("ca_path", variable("X509_CERT_DIR"))
    choose("ca", configured("ca"), configured("ca_path"), variable("REQUESTS_CA_BUNDLE"), variable("SSL_CERT_FILE"))
    if "ca" in chosen and chosen["ca"].is_dir():
        chosen.setdefault("ca_path", chosen.pop("ca"))
    token = Secret(taken["BEARER_TOKEN"]) if taken.get("BEARER_TOKEN") else None
    if token is not None:
        sources.append(("token", "$BEARER_TOKEN"))
    auth = taken.get("RUCIO_AUTH_TYPE") or config.get("auth", "")
    if auth not in AUTH_METHODS:
        auth = "oidc" if token or "token_file" in chosen else "x509_proxy" if "proxy" in chosen else "x509"
    password = secret if auth == "userpass" and secret is not None else token
    if auth == "userpass" and password is not token:
        sources.append(("password_file", "rucio.cfg"))
    return Profile(
        name="env",
        rucio_host=host,
        auth_host=taken.get("RUCIO_AUTH_HOST") or config.get("auth_host", ""),
        account=account,
        auth=auth,
        username=config.get("username", ""),
        vo=taken.get("RUCIO_VO") or config.get("vo", "def"),
        token=password,
        sources=tuple(sources),
        certificate=chosen.get("certificate"),
        key=chosen.get("key"),
        proxy=chosen.get("proxy"),
        token_file=chosen.get("token_file"),
        ca=chosen.get("ca"),
        ca_path=chosen.get("ca_path"),
    )


def _client_section(taken: dict[str, str]) -> tuple[dict[str, str], Secret | None]:
    """Keys of a profile, and the pass word, from the rucio.cfg that the environment names; nothing from one that cannot be read."""
    home = taken.get("RUCIO_HOME", "")
    file = taken.get("RUCIO_CONFIG", "") or (os.path.join(home, "etc", "rucio.cfg") if home else "")
    if not file:
        return {}, None
    with contextlib.suppress(UsageProblem):
        section = rucio_cfg.client_section(Path(file))
        password = section.get(rucio_cfg.PASSWORD)
        values = rucio_cfg.profile_values(section, {**os.environ, **taken}, Path(file), strict=False)
        return values, Secret(password) if password else None
    return {}, None
