"""What works where: which credential a storage door will take, told before anything is tried.

Facts: WLCG Common JWT Profiles 1.0 (audience, scopes and their paths), Rucio `core/rse.py` (`determine_audience_for_rse`,
`determine_scope_for_rse`: what Rucio itself asks an issuer for), and what XRootD, dCache-like and GridFTP doors did when tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit

from .credential import Credential, Proof
from .rse import Door, Rse
from .units import left_text, minute_text

YES, NO, UNKNOWN = "yes", "no", "unknown"
X509, TOKEN = "X.509", "token"
READ, CREATE, MODIFY, STAGE = "read", "create", "modify", "stage"

FAMILIES: dict[str, str] = {"X.509 proxy": X509, "X.509 certificate": X509, "Access token": TOKEN}
"""Kind of a credential -> how it speaks to storage; other kinds never do. A VOMS AC speaks as part of its proxy."""

SCHEMES: dict[str, dict[str, tuple[str, str]]] = {
    "davs": {X509: (YES, ""), TOKEN: (YES, "")},
    "https": {X509: (YES, ""), TOKEN: (YES, "")},
    # Unless the same server speaks TLS, as `_of_scheme` looks up: XRootD 5 then turns root into roots by itself.
    "root": {X509: (YES, ""), TOKEN: (NO, "root takes no tokens, which go over TLS only")},
    "roots": {X509: (UNKNOWN, "roots is for tokens; only some servers take X.509 there too"), TOKEN: (YES, "")},
    "gsiftp": {X509: (YES, ""), TOKEN: (NO, "GridFTP takes no tokens")},
    "srm": {X509: (YES, ""), TOKEN: (NO, "SRM takes no tokens")},
    "dav": {X509: (NO, "dav has no TLS: no certificate is asked for"), TOKEN: (NO, "dav has no TLS: no token goes there")},
    "http": {X509: (NO, "http has no TLS: no certificate is asked for"), TOKEN: (NO, "http has no TLS: no token goes there")},
    "file": {X509: (NO, "a local file asks for no credential"), TOKEN: (NO, "a local file asks for no credential")},
}
"""Scheme -> family of credentials -> (does such a door take them, why not)."""

RIGHTS: dict[str, tuple[str, ...]] = {
    READ: ("storage.read", "storage.stage", "read"),
    CREATE: ("storage.create", "storage.modify", "write"),
    MODIFY: ("storage.modify", "write"),
    STAGE: ("storage.stage",),
}
"""Operation -> scopes that allow it, the plain one first: stage includes read, modify includes create (WLCG profile, section
"Capability based authorization"); `read` and `write` are those of SciTokens."""

ANY_AUDIENCES = ("https://wlcg.cern.ch/jwt/v1/any", "ANY")
"""Good for every service: WLCG profile, SciTokens 2.0."""
OIDC_SUPPORT, OIDC_BASE_PATH = "oidc_support", "oidc_base_path"
"""RSE attributes by which Rucio knows that tokens are taken, and below which path an issuer's `/` lies."""
DEFAULT_PORTS = {"davs": 443, "https": 443, "root": 1094, "roots": 1094, "gsiftp": 2811, "srm": 8443}
_MAKE_ANEW = {
    "X.509 proxy": "make a new proxy",
    "X.509 certificate": "ask your certificate authority for a new one",
    "Access token": "get a new token",
}
_WRITTEN_AT_READING = frozenset({"", "expired", "not valid yet"})
"""What a credential's `problem` says of its times, which are looked at here anew."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Will this door take this credential."""

    answer: str
    """`yes`, `no`, or `unknown` where only trying tells."""
    reason: str
    """In words: `GridFTP takes no tokens`; "" for a plain yes."""
    step: str = ""
    """What would work instead, or what to do: `use davs on the same RSE`."""


@dataclass(frozen=True, slots=True)
class Access:
    """One credential at one door of one RSE: what is known without trying, and what the door said when it was tried."""

    rse: str
    scheme: str
    door: str
    """Address of the door."""
    kind: str
    """Kind of the credential."""
    credential: str
    """Id of the credential."""
    answer: str
    reason: str
    step: str
    live: Proof | None = None

    @property
    def key(self) -> str:
        return f"{self.rse} {self.door} {self.credential}"


def matrix(rses: Iterable[Rse], credentials: Sequence[Credential], now: datetime, operation: str = READ) -> list[Access]:
    """A row for each door and each credential that can speak to storage, doors in the order of the RSE."""
    speaking = [(each, attributes_of(each, credentials)) for each in credentials if each.kind in FAMILIES]
    rows = []
    for rse in rses:
        for door in rse.doors:
            for credential, attributes in speaking:
                said = verdict(rse, door, credential, now, attributes=attributes, operation=operation)
                rows.append(
                    Access(rse.name, door.scheme, door.address, credential.kind, credential.id, said.answer, said.reason, said.step)
                )
    return rows


def attributes_of(proxy: Credential, credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """The VOMS ACs inside this proxy: their ids begin with its id."""
    return tuple(each for each in credentials if each.kind == "VOMS AC" and each.id.startswith(f"{proxy.id} "))


def verdict(
    rse: Rse,
    door: Door,
    credential: Credential,
    now: datetime,
    *,
    attributes: Sequence[Credential] = (),
    operation: str = READ,
) -> Verdict:
    """Whether this door takes this credential for `operation`, as far as scheme, RSE attributes and the credential tell.

    `attributes` are the VOMS ACs inside a proxy, which have clocks of their own.
    """
    family = FAMILIES.get(credential.kind)
    if family is None:
        return Verdict(NO, f"{credential.kind}: does not log in to storage", "use a proxy or a token")
    scheme = _of_scheme(rse, door, family)
    if scheme.answer == NO:
        return scheme
    said = own_verdict(credential, now, attributes)
    if said.answer == NO:
        return said
    if family == TOKEN:
        said = _first(_token(rse, door, credential, operation), said)
    return _first([scheme], said)


def _of_scheme(rse: Rse, door: Door, family: str) -> Verdict:
    """What the scheme says, as it is at this door."""
    answer, reason = SCHEMES.get(door.scheme, {}).get(family, (UNKNOWN, f"the scheme {door.scheme} is not known here"))
    if (door.scheme, family) == ("root", TOKEN) and any(
        (each.scheme, each.hostname, each.port) == ("roots", door.hostname, door.port) for each in rse.doors
    ):
        return Verdict(UNKNOWN, "a token goes over TLS only: taken where client and server turn to TLS", "use roots on the same RSE")
    return Verdict(answer, reason, _elsewhere(rse, door, family) if answer == NO else "")


def own_verdict(credential: Credential, now: datetime, attributes: Sequence[Credential] = ()) -> Verdict:
    """What the credential alone says, whatever the door: `no` when it is over, not valid yet or cannot be read."""
    anew = _MAKE_ANEW.get(credential.kind, "make a new one")
    if credential.expires is not None and credential.expires <= now:
        return Verdict(NO, left_text(credential.expires, now), anew)
    if credential.not_before is not None and credential.not_before > now:
        return Verdict(NO, f"not valid before {minute_text(credential.not_before)}", "wait, or check the clock of this machine")
    if credential.problem not in _WRITTEN_AT_READING:
        unreadable = not credential.who and credential.expires is None
        return Verdict(NO if unreadable else UNKNOWN, credential.problem, "mend it first: see qostui creds")
    return _attributes(credential, attributes, now) if FAMILIES.get(credential.kind) == X509 else Verdict(YES, "")


def _first(verdicts: Iterable[Verdict], other: Verdict) -> Verdict:
    """The weightiest of all, the earlier of two that weigh the same: a no, else a doubt, else yes."""
    rank = (NO, UNKNOWN, YES)
    return min([*verdicts, other], key=lambda each: rank.index(each.answer))


def _elsewhere(rse: Rse, door: Door, family: str) -> str:
    """Where on the same RSE, or else with what, it would work."""
    taking = _schemes_taking(rse.doors, family)
    if taking:
        return f"use {taking[0]} on the same RSE"
    other, what = (TOKEN, "a token") if family == X509 else (X509, "an X.509 proxy")
    return f"use {what} there" if _schemes_taking([door], other) else ""


def _schemes_taking(doors: Iterable[Door], family: str) -> list[str]:
    return [each.scheme for each in doors if SCHEMES.get(each.scheme, {}).get(family, ("",))[0] == YES]


def _attributes(proxy: Credential, attributes: Sequence[Credential], now: datetime) -> Verdict:
    """What the VOMS attributes add: most storages let in by VO and group, and refuse who shows none that hold."""
    if not attributes:
        return Verdict(UNKNOWN, "carries no VOMS attributes: storages that ask for the VO refuse it", "make a VOMS proxy")
    holding = [each for each in attributes if (each.expires is None or each.expires > now) and not _early(each, now)]
    if holding:
        return Verdict(YES, "")
    early = next((each for each in attributes if _early(each, now)), None)
    if early is not None:
        return Verdict(NO, f"AC not valid before {minute_text(early.not_before)}", "wait, or check the clock of this machine")
    last = max(each.expires for each in attributes if each.expires is not None)
    left = f" though the proxy has {left_text(proxy.expires, now)} left" if proxy.expires is not None else ""
    return Verdict(NO, f"AC {left_text(last, now)}{left}", "make a new VOMS proxy")


def _early(credential: Credential, now: datetime) -> bool:
    return credential.not_before is not None and credential.not_before > now


def _token(rse: Rse, door: Door, token: Credential, operation: str) -> list[Verdict]:
    said = dict(rse.attributes)
    support = said.get(OIDC_SUPPORT, "").lower()
    if support == "false":
        taking = _schemes_taking(rse.doors, X509)
        return [Verdict(NO, "the RSE attribute oidc_support is false", f"use an X.509 proxy over {taking[0]}" if taking else "")]
    facts = dict(token.facts)
    if facts.get("algorithm", "").lower() == "none":
        return [Verdict(NO, "the token is not signed (alg none)", "get a token from an issuer")]
    if not (token.issuer or token.scopes or token.audience):
        return [Verdict(UNKNOWN, "the token is opaque: nothing can be read from it")]
    base = said.get(OIDC_BASE_PATH, "") if support == "true" or OIDC_BASE_PATH in said else None
    verdicts = [audience_verdict(rse, door, token), _scopes(door, token, operation, base)]
    if "WLCG profile" not in facts and any(scope.startswith("storage.") for scope in token.scopes):
        verdicts.append(Verdict(UNKNOWN, "the token names no wlcg.ver: storages may not read its scopes"))
    return verdicts


def wanted_audience(rse: Rse, door: Door) -> str:
    """The audience that tokens for this door name: `https://host:port` of the storage's HTTPS door, else of the door itself."""
    return f"https://{_host_port(_speaking_for(rse, door))}"


def _speaking_for(rse: Rse, door: Door) -> Door:
    near = [each for each in rse.doors if each.scheme in ("davs", "https") and each.hostname.lower() == door.hostname.lower()]
    return door if door in near or not near else near[0]


def _host_port(door: Door) -> str:
    host = f"[{door.hostname}]" if ":" in door.hostname else door.hostname
    port = door.port or DEFAULT_PORTS.get(door.scheme, 443)
    return host if port == 443 else f"{host}:{port}"


def audience_verdict(rse: Rse, door: Door, token: Credential) -> Verdict:
    """Whether the token is meant for this door; a token that is not (`no`) is not for the door's eyes either."""
    supported = dict(rse.attributes).get(OIDC_SUPPORT, "").lower() == "true"
    wanted = wanted_audience(rse, door)
    step = f"get a token with audience {wanted}"
    if not token.audience:
        return Verdict(UNKNOWN, "the token names no audience", step)
    host = door.hostname.lower()
    # One storage has one audience: that of its HTTPS door speaks for its roots door too.
    ports = {each.port or DEFAULT_PORTS.get(each.scheme, 0) for each in (door, _speaking_for(rse, door))}
    named = [(_place(each), "://" in each) for each in token.audience if _place(each)[0]]
    if any(name == host and (443 if port is None and is_address else port) in ports for (name, port), is_address in named):
        return Verdict(YES, "")
    if any(each in ANY_AUDIENCES for each in token.audience):
        return Verdict(YES, "") if supported else Verdict(UNKNOWN, "good for any audience, but the RSE has no attribute oidc_support")
    if any(name == host and port is None for (name, port), _ in named):
        # The bare host is what Rucio asks for.
        return Verdict(YES, "") if supported else Verdict(UNKNOWN, f"the audience names the host only, the door may want {wanted}", step)
    return Verdict(NO, f"audience is {', '.join(token.audience)}, the door wants {wanted}", step)


def _place(audience: str) -> tuple[str, int | None]:
    """(host, port) that an audience names; the port is None where it says none."""
    try:
        split = urlsplit(audience if "://" in audience else f"//{audience}")
        return (split.hostname or "").lower(), split.port
    except ValueError:
        return "", None


def parts(path: str) -> tuple[str, ...] | None:
    """The parts of an absolute path, decoded; None where it is not one, or climbs (`..`)."""
    if not path.startswith("/"):
        return None
    found = tuple(each for each in unquote(path).split("/") if each)
    return None if {".", ".."} & set(found) else found


def _begins(path: tuple[str, ...], start: tuple[str, ...]) -> bool:
    return path[: len(start)] == start


def reach(scope_path: str, prefix: str, base: str | None) -> str:
    """How much of what lies below `prefix` a scope's path covers: `all`, `perhaps`, `part` or `none`.

    Scope paths count from the issuer's base path on the storage; None: that is not known. `/a` covers `/a` and `/a/b`, never `/ab`.
    """
    granted, door = parts(scope_path), parts(prefix)
    if granted is None or door is None:
        return "none"
    if base is not None:
        below = parts(base) or ()
        inside = door[len(below) :] if _begins(door, below) else door
        return "all" if _begins(inside, granted) else "part" if _begins(granted, inside) else "none"
    if not granted:
        return "all"
    views = [door[start:] for start in range(len(door))]
    if any(_begins(each, granted) for each in views):
        return "perhaps"
    return "part" if any(_begins(granted, each) for each in views) else "none"


def _scopes(door: Door, token: Credential, operation: str, base: str | None) -> Verdict:
    rights = RIGHTS[operation]
    prefix = "/" + "/".join(parts(door.prefix) or ())
    asked = f"get a token with scope {rights[0]}:{prefix if base is None else _inside(prefix, base)}"
    fitting = [each for each in token.scopes if each.partition(":")[0] in rights]
    if not fitting:
        if token.groups:
            return Verdict(UNKNOWN, f"no scope {rights[0]}: the storage may go by the token's groups", asked)
        return Verdict(NO, f"no scope to {operation} ({rights[0]})", asked)
    found = {reach(each.partition(":")[2], prefix, base): each for each in reversed(fitting)}
    if "all" in found:
        return Verdict(YES, "")
    if "perhaps" in found:
        return Verdict(UNKNOWN, f"scope {found['perhaps']} covers {prefix} only where the issuer's paths begin above it", asked)
    if "part" in found:
        return Verdict(UNKNOWN, f"scope {found['part']} covers a part of {prefix} only", asked)
    several = "s" if len(fitting) > 1 else ""
    return Verdict(NO, f"scope{several} {', '.join(fitting)} {'do' if several else 'does'} not cover {prefix}", asked)


def _inside(prefix: str, base: str) -> str:
    door, below = parts(prefix) or (), parts(base) or ()
    return "/" + "/".join(door[len(below) :] if _begins(door, below) else door)
