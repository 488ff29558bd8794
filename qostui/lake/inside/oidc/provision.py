"""What the lake's build asks of the provider: its files, tokens signed without a server, Rucio's client secrets."""

from __future__ import annotations

import json
import time
from typing import Any

from .. import atomic, register, topology
from .. import state as lake
from ..state import Facts, State
from . import claims, clients, people
from .keys import ACCESS_TOKEN_TYPE, SigningKey, key_file
from .store import Store

MINTING_CLIENT = "qostui"
IDP_NAME = topology.VO
"""Key of this provider in Rucio's idpsecrets.json, so the value of `[oidc] admin_issuer`."""


def prepare(state: State, facts: Facts) -> None:
    """Make what the provider needs and what others read of it: key, clients, people, database, jwks.json.

    Idempotent: keys, secrets and pass words stay, whatever ports the lake moves to.
    """
    state.oidc.mkdir(mode=0o755, parents=True, exist_ok=True)
    state.client.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = SigningKey.load_or_create(state)
    published = json.dumps(key.public_set(), indent=1)
    if not state.jwks.exists() or state.jwks.read_text() != published:
        atomic.write(state.jwks, published, 0o644)
    clients.prepare(state)
    people.prepare(state)
    Store(state.oidc / "provider.db").prepare()


def mint(state: State, facts: Facts, subject: str, audience: str, scope: str, lifetime_s: int) -> str:
    """An access token signed without the server, for token files and drills.

    `audience` is a space separated list, empty for the WLCG `any` audience; the scope is taken as it is; a lifetime of
    zero or less makes a token that ran out that many seconds ago. Raises FileNotFoundError before `prepare`.
    """
    key = SigningKey.load(key_file(state))
    named = claims.audiences([audience])
    body = claims.access_claims(lake.issuer(facts), subject, MINTING_CLIENT, scope, named, int(time.time()), lifetime_s)
    token = key.sign(body, ACCESS_TOKEN_TYPE)
    register.note(state, token)
    return token


def idpsecrets(state: State, facts: Facts) -> dict[str, Any]:
    """The content of Rucio's idpsecrets.json: its client here, and its administrative one under `SCIM`."""
    known = clients.read_secrets(state)
    rucio = next(entry for entry in clients.TABLE if entry.id == "rucio")
    return {
        IDP_NAME: {
            "issuer": lake.issuer(facts),
            "client_id": rucio.id,
            "client_secret": known[rucio.id],
            "redirect_uris": list(clients.redirects(rucio, facts)),
            "SCIM": {"client_id": "rucio-admin", "client_secret": known["rucio-admin"], "grant_type": "client_credentials"},
        }
    }
