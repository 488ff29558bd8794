"""The lake's OpenID provider, on Authlib and Flask: device flow, code flow, refresh, WLCG tokens, its own log-in page.

    clients.py     who may ask for tokens, and how
    people.py      who may log in, their pass words, what they may be granted
    scopes.py      the WLCG scope grammar and which scope covers which
    keys.py        the signing key; claims.py: what a token says
    store.py       what survives a restart (SQLite)
    grants.py      the OAuth grants, from Authlib's
    endpoints.py   what programs speak; browser.py and pages.py: what people see
    provision.py   what the lake's build calls: `prepare`, `mint`, `idpsecrets`

Tokens follow the WLCG Common JWT Profiles 1.0 (https://zenodo.org/records/3460258).
"""

from __future__ import annotations

from .provision import idpsecrets, mint, prepare

__all__ = ["idpsecrets", "mint", "prepare"]
