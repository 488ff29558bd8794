"""Which scopes exist, and which scope covers which: the WLCG Common JWT Profiles' grammar and what Rucio and FTS ask for.

A scope with a path covers the same scope of any path below it (WLCG profile, section "Capability based authorization").
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_GRAMMAR = re.compile(
    r"""
    openid | profile | email | offline_access | wlcg
    | wlcg\.groups (: (/[A-Za-z0-9][A-Za-z0-9._-]*)+ )?
    | eduperson_(entitlement|assurance|scoped_affiliation)
    | storage\.(read|create|modify|stage) : /[A-Za-z0-9._~!$&'()*+,;=:@%/-]*
    | compute\.(read|create|modify|cancel) (: /[A-Za-z0-9._~/-]*)?
    | fts (: [a-z-]+)?
    | scim:(read|write)
    """,
    re.VERBOSE,
)
_WITH_PATH = re.compile(r"(?P<right>(storage|compute)\.[a-z]+)(:(?P<path>/.*))?")
_CLIMBS = re.compile(r"/\.{1,2}(/|$)|%2[ef]", re.IGNORECASE)
"""Path parts that a storage might resolve to somewhere else than where `covers` thinks they are."""
MAX_SCOPES = 64

IDENTITY_KINDS: tuple[str, ...] = (
    "openid", "profile", "email", "offline_access", "wlcg", "wlcg.groups", "eduperson_entitlement", "eduperson_assurance",
    "eduperson_scoped_affiliation",
)  # fmt: skip
"""Kinds of scope that say who someone is; everybody may have them."""
DATA_KINDS: tuple[str, ...] = (
    "storage.read", "storage.create", "storage.modify", "storage.stage", "compute.read", "compute.create", "compute.modify",
    "compute.cancel",
)  # fmt: skip
SCIM_KINDS: tuple[str, ...] = ("scim:read", "scim:write")
KINDS: tuple[str, ...] = (*IDENTITY_KINDS, *DATA_KINDS, "fts", *SCIM_KINDS)
"""All kinds of scope: a scope's kind is what stands before its path, group or sub-permission."""

MEANING: dict[str, str] = {
    "openid": "Know who you are (your subject identifier)",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Keep access after you close this page (refresh token)",
    "wlcg": "Issue tokens of the WLCG profile",
    "wlcg.groups": "See your groups",
    "eduperson_entitlement": "See your groups as entitlements",
    "eduperson_assurance": "See how well your identity was checked",
    "eduperson_scoped_affiliation": "See where you belong",
    "storage.read": "Read files",
    "storage.create": "Create new files and directories",
    "storage.modify": "Change, overwrite and delete files",
    "storage.stage": "Bring files from tape",
    "compute.read": "See your jobs",
    "compute.create": "Submit jobs",
    "compute.modify": "Change jobs",
    "compute.cancel": "Cancel jobs",
    "fts": "Use the file transfer service for you",
}


class UnknownScope(ValueError):
    """A scope outside the grammar."""


def split(text: str | None) -> list[str]:
    """The scopes of a space separated list, each once, in order; raises UnknownScope at the first bad one."""
    wanted = list(dict.fromkeys((text or "").split()))
    if len(wanted) > MAX_SCOPES:
        raise UnknownScope(f"more than {MAX_SCOPES} scopes")
    for scope in wanted:
        if not _GRAMMAR.fullmatch(scope) or _CLIMBS.search(scope):
            raise UnknownScope("not a scope of this provider")
    return wanted


def join(scopes: Iterable[str]) -> str:
    """The space separated form."""
    return " ".join(scopes)


def kind(scope: str) -> str:
    """What a scope is about, without path, group or sub-permission."""
    return scope if scope.startswith("scim:") else scope.split(":", 1)[0]


def describe(scope: str) -> str:
    """What granting a scope lets a client do, for the consent page."""
    meaning = MEANING.get(kind(scope), "Use the permission of this name")
    path = scope.partition(":/")[2]
    return f"{meaning} below /{path}" if ":/" in scope and kind(scope) != "wlcg.groups" else meaning


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether one of the `granted` scopes is `wanted` or holds it."""
    return any(_holds(scope, wanted) for scope in granted)


def _holds(granted: str, wanted: str) -> bool:
    if granted == wanted or (granted == "wlcg.groups" and kind(wanted) == "wlcg.groups"):
        return True
    outer, inner = _WITH_PATH.fullmatch(granted), _WITH_PATH.fullmatch(wanted)
    if not outer or not inner or outer["right"] != inner["right"]:
        return False
    above, below = (outer["path"] or "/").rstrip("/"), (inner["path"] or "/").rstrip("/")
    return below == above or below.startswith(above + "/")
