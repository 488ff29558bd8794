"""What the values of a profile's keys must look like, so that nothing wrong is written, sent or handed to a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from .profile import AUTH_METHODS, origin

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
ADDRESSES = ("rucio_host", "auth_host", "fts", "issuer")
NEEDED = ("rucio_host", "account", "auth")
NEEDED_BY = {
    "userpass": (("password_file", "password_keyring"),),
    "x509": (("certificate",), ("key",)),
    "x509_proxy": (("proxy",),),
    "oidc": (("token_file", "oidc_agent", "issuer"),),
}
"""Way of logging in -> groups of keys of which one each is needed."""
_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_SCOPE = r"[\x21\x23-\x5b\x5d-\x7e]+"
SHAPES = {
    "color": (r"#[0-9A-Fa-f]{6}|[A-Za-z_]{1,40}", "is not a colour", "write a colour's name or #rrggbb"),
    # What follows becomes a word of a command or of a request: it may not look like an option, nor begin another word.
    "voms": (
        rf"{_WORD}(:(/[A-Za-z0-9_.-]+)+(/Role=[A-Za-z0-9_.-]+)?)?",
        "is neither a VO nor a VO and an FQAN",
        "write it like escape or escape:/escape/Role=operator",
    ),
    "oidc_agent": (r"[^\s\x00-\x1f-][^\s\x00-\x1f]*", "is not the short name of an account", "oidc-add --list shows them"),
    "scope": (rf"{_SCOPE}( +{_SCOPE})*", "is no list of scopes", "write them with blanks between"),
    "audience": (r"[\x20-\x7e]+", "is not an audience", "write it as the provider names it"),
    "vo": (_WORD, "is not a VO", "write Rucio's name of it, such as def"),
}
"""Key -> (what it looks like, what is said else, the step). Scopes as in RFC 6749 section 3.3."""
_LOOPBACK = r"localhost|127\.[0-9.]+|::1"

Fault = tuple[str, str, str]
"""(key, "" for the whole profile; what is wrong; what to do)."""


def faults(name: str, values: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a profile whose keys are known and whose values have the right types, the most telling first."""
    for key in NEEDED:
        if not values.get(key):
            yield "", f"profile {name} has no {key}", f"add {key}"
    auth = str(values.get("auth"))
    if auth not in AUTH_METHODS:
        near = get_close_matches(auth, AUTH_METHODS, 1)
        yield "auth", f"auth {auth!r} is not known", f"did you mean {near[0]}?" if near else f"one of: {', '.join(AUTH_METHODS)}"
    for key in ADDRESSES:
        if values.get(key):
            yield from _address(key, str(values[key]))
    if values.get("issuer") and not values.get("client_id"):
        yield "issuer", "issuer needs client_id", "add client_id"
    if values.get("client_secret_keyring") and not values.get("issuer"):
        yield "client_secret_keyring", "client_secret_keyring needs issuer", "add issuer"
    for choice in NEEDED_BY.get(auth, ()):
        if not any(values.get(key) for key in choice):
            yield "auth", f"auth {auth} needs {' or '.join(choice)}", f"add {choice[0]}"
    for key, (shape, summary, step) in SHAPES.items():
        if values.get(key) and not re.fullmatch(shape, str(values[key])):
            yield key, f"{key}: {values[key]!r} {summary}", step


def _address(key: str, address: str) -> Iterator[Fault]:
    try:
        scheme, host, _ = origin(address)
    except ValueError as error:
        yield key, f"{key}: {error}", "write it like https://rucio.example.org:443"
        return
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None:
        # Not quoted: a pass word may stand there.
        yield key, f"{key}: no user name and no pass word belongs into an address", "leave out what is before the @"
    if key == "issuer" and scheme != "https" and not re.fullmatch(_LOOPBACK, host):
        yield key, f"issuer: {address!r} is not https", "tokens go over https only: write https://..."
    if key == "issuer" and (parts.query or parts.fragment):
        # OpenID Connect Discovery 1.0 section 2.
        yield key, f"issuer: {address!r} has a query or a fragment", "write it as the provider names itself"
