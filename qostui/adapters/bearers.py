"""Which access token a profile shows: a file, oidc-agent or the vault, in that order, and how it is renewed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import paths
from ..domain.errors import CredentialProblem
from ..domain.profile import Profile, Secret
from . import oidc_agent, secret_files
from .vault import Vault

HANDED_OVER, FILE, AGENT, VAULT, NONE = "handed over", "file", "oidc-agent", "vault", ""


def origin_of(profile: Profile) -> str:
    """Where the token comes from."""
    if profile.token is not None and profile.token_file is None and profile.auth != "userpass":
        return HANDED_OVER
    return FILE if profile.token_file is not None else AGENT if profile.oidc_agent else VAULT if profile.issuer else NONE


def current(profile: Profile, runtime_dir: Path | None = None) -> Secret:
    """The access token as it is at hand; no provider is asked by us. Raises Problem, CredentialProblem as a rule."""
    where = origin_of(profile)
    if where == HANDED_OVER and profile.token is not None:
        return profile.token
    if where == FILE and profile.token_file is not None:
        return Secret(secret_files.first_line(profile.token_file, "the token file"))
    if where == AGENT:
        return oidc_agent.token(profile.oidc_agent, profile.scope, profile.audience)
    vault = Vault(profile, runtime_dir or paths.runtime_dir())
    if where == VAULT or vault.access_file.exists():
        return vault.current()
    raise CredentialProblem("no token is configured", step="give the profile token_file, oidc_agent, or issuer and client_id")


def ahead(profile: Profile, runtime_dir: Path | None = None, wanted: Callable[[], bool] = lambda: True) -> None:
    """Renew a token of the vault that is about to end; may ask the provider, so only in a lane. Raises CredentialProblem."""
    if origin_of(profile) == VAULT:
        Vault(profile, runtime_dir or paths.runtime_dir()).ahead(wanted)


def after_refusal(profile: Profile, refused: str, runtime_dir: Path | None = None) -> Secret:
    """Another token than the refused one, if there is a way to one; else the refused one. Raises Problem."""
    where = origin_of(profile)
    if where == AGENT:
        oidc_agent.forget(profile.oidc_agent)
    if where == VAULT:
        Vault(profile, runtime_dir or paths.runtime_dir()).after_refusal(refused)
    return current(profile, runtime_dir)
