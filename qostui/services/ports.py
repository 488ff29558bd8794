"""What services need from outside, as Protocols: adapters implement them, the command line wires them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..domain.profile import Profile
from ..domain.table import Row
from ..domain.text import SafeText
from .feeds import Cancel, Source

if TYPE_CHECKING:
    from .ports_credentials import Desk


class Clock(Protocol):
    """Our own clock."""

    def now(self) -> datetime:
        """The moment, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class Backend(Protocol):
    """One profile's connection: cheap to make, nothing is asked before a source is read in a lane."""

    def source(self, view_id: str) -> Source[Any]:
        """The source of a view; its lane calls are the only ones that block."""

    def server_now(self) -> datetime:
        """The moment on the Rucio server's clock (from its last `Date` header; ours before the first answer)."""

    def note(self, view_id: str) -> str:
        """What a listing left out on purpose, in one line; "" when nothing."""

    def subject(self) -> SafeText:
        """Who the credential says we are; "" before it is known. Never blocks."""

    def desk(self) -> Desk:
        """What makes, renews and drops the profile's credentials; made at the first call, in a lane."""

    def access(self, cancel: Cancel) -> Iterator[Sequence[Row]]:
        """What works where: rows of `services.views.access`, the offline answers first, then what doors said. Raises Problem."""

    def findings(self, cancel: Cancel) -> Iterator[Sequence[Row]]:
        """What the doctor finds for this profile: rows of `services.views.findings`. Raises Problem."""

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a program on the operator's own terminal, which nothing else uses meanwhile; its exit status. Raises Problem."""

    def close(self) -> None:
        """Close all connections; returns at once."""


class Preferences(Protocol):
    """The settings that services read."""

    @property
    def max_ok_rules(self) -> int: ...

    @property
    def state_dir(self) -> Path: ...

    @property
    def runtime_dir(self) -> Path: ...


class Connect(Protocol):
    """Makes the backend of a profile without blocking."""

    def __call__(self, profile: Profile, preferences: Preferences, /) -> Backend: ...


class Lacks(Protocol):
    """Says what a profile lacks for its log-in, without asking a server."""

    def __call__(self, profile: Profile, preferences: Preferences, /) -> str: ...


class Snapshots(Protocol):
    """The last good rows of one profile on disk."""

    def load(self, view_id: str) -> tuple[Sequence[Row], datetime] | None:
        """Rows and when they were good, or None."""

    def save(self, view_id: str, rows: Sequence[Row], good_at: datetime) -> None:
        """Replace what is kept; a failure is not worth an error."""
