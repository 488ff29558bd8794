"""Credentials as the console shows them: never the secret itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Proof:
    """What one server said to a credential when it was last shown to it."""

    where: str
    """`whoami` for Rucio, else `RSE scheme`, as in `DESY-DCACHE davs`."""
    accepted: bool
    at: datetime
    reason: str = ""
    """Why not, in one line; "" when accepted."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential that the profile holds; texts are raw (made safe where they are shown)."""

    id: str
    kind: str
    """`Rucio session`, `X.509 certificate`, `X.509 proxy`, `VOMS AC`, `Access token`, `Pass word`."""
    who: str
    """Subject, account @ host, or FQANs."""
    source: str
    """Where it comes from: a path, a variable, a keyring entry."""
    expires: datetime | None = None
    not_before: datetime | None = None
    subject: str = ""
    """Whom it speaks for: a DN, a token's `sub`, an account."""
    issuer: str = ""
    scopes: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """VOMS FQANs or `wlcg.groups`."""
    chain: tuple[str, ...] = ()
    """Subjects from the end entity up."""
    serial: str = ""
    problem: str = ""
    """What is wrong with it, in one line; "" when nothing is."""
    note: str = ""
    """What was proved and what was not: `signature not verified`, `whoami ✔`."""
    proven_at: datetime | None = None
    facts: tuple[tuple[str, str], ...] = ()
    vo: str = ""
    """VO of a VOMS AC (its FQANs are `groups`)."""
    proofs: tuple[Proof, ...] = ()
    """What servers said to it, Rucio first; empty until one was asked."""
    actions: tuple[str, ...] = ()
    """What can be done with it: names of `services.ports_credentials.ACTIONS`."""
    renews: bool = False
    """The console renews it by itself while what is behind it lives, so it is not what runs out."""
    ends_before: str = ""
    """What it belongs to and ends earlier than: `the proxy`; "" for most."""

    @property
    def usable_at(self) -> tuple[str, ...]:
        """Where it was accepted when it was last shown."""
        return tuple(proof.where for proof in self.proofs if proof.accepted)

    @property
    def lifetime(self) -> timedelta | None:
        """From its beginning to its end; None where either is not stated."""
        if self.expires is None or self.not_before is None or self.not_before >= self.expires:
            return None
        return self.expires - self.not_before

    @property
    def key(self) -> str:
        return self.id
