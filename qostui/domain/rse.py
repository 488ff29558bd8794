"""Rucio Storage Elements and their doors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Door:
    """One protocol endpoint of one RSE; a number is its priority there (1 is tried first), 0 is not offered."""

    scheme: str
    hostname: str
    port: int
    prefix: str
    lan: tuple[int, int, int] = (0, 0, 0)
    """read, write, delete."""
    wan: tuple[int, int, int] = (0, 0, 0)
    third_party: tuple[int, int] = (0, 0)
    """third_party_copy_read (as source), third_party_copy_write (as destination)."""
    impl: str = ""

    @property
    def address(self) -> str:
        """`davs://host:port/prefix`."""
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}{self.prefix}"

    @property
    def catalogue_only(self) -> bool:
        """No operation is offered: the entry only says that the door exists."""
        return not any((*self.lan, *self.wan, *self.third_party))


@dataclass(frozen=True, slots=True)
class Rse:
    """One RSE with its quality of service, space (bytes) and doors, most preferred first."""

    name: str
    type: str
    """DISK or TAPE."""
    qos: str
    """RSE attribute QOS; "" without."""
    read: bool
    write: bool
    delete: bool
    free: int | None = None
    used: int | None = None
    total: int | None = None
    usage_source: str = ""
    """Who reported the space: `storage`, else `rucio` (what Rucio itself counted)."""
    usage_at: datetime | None = None
    rucio_used: int | None = None
    files: int | None = None
    doors: tuple[Door, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    deterministic: bool = True
    volatile: bool = False
    staging_area: bool = False
    incomplete: str = ""
    """What could not be asked for, in one line; "" when all was."""

    @property
    def key(self) -> str:
        return self.name

    @property
    def availability(self) -> str:
        """`rwd` with a dash for what is switched off."""
        return "".join(letter if on else "-" for letter, on in (("r", self.read), ("w", self.write), ("d", self.delete)))
