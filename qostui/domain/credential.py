"""Credentials as the console shows them: never the secret itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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

    @property
    def key(self) -> str:
        return self.id
