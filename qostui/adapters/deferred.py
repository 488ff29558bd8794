"""Sources that are made when they are first read, so that heavy libraries load in a lane and not before the first picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from ..domain.profile import Profile
from ..domain.text import SafeText
from ..services.feeds import Cancel, Source
from .proof_book import ProofBook

if TYPE_CHECKING:
    from ..services.ports_credentials import Desk
    from .rucio import Connection
    from .rucio_session import TokenBox

VIEW_IDS = ("rses", "rules", "requests", "credentials")


class Deferred:
    """The real sources of one profile, made one by one."""

    def __init__(self, profile: Profile, runtime_dir: Path, max_ok_rules: int, expression: str) -> None:
        self._profile = profile
        self._runtime_dir = runtime_dir
        self._max_ok_rules = max_ok_rules
        self._expression = expression
        self._lock = RLock()
        self.proofs = ProofBook()
        """What doors said to the credentials in this run."""
        self._box: TokenBox | None = None
        self._sources: dict[str, Any] = {}
        self._connections: list[Connection] = []

    def source(self, view_id: str) -> Source[Any]:
        """A stand-in for the source of a view; raises KeyError."""
        if view_id not in VIEW_IDS:
            raise KeyError(view_id)
        return _Later(self, view_id)

    def real(self, view_id: str) -> Any:
        """The source itself; imports what it needs."""
        with self._lock:
            if view_id not in self._sources:
                self._sources[view_id] = self._make(view_id)
            return self._sources[view_id]

    def _make(self, view_id: str) -> Any:
        from .rucio import Connection

        box = self._token_box()
        connection = Connection(self._profile, box, self._runtime_dir)
        self._connections.append(connection)
        if view_id == "rses":
            from .rucio_rses import RseSource

            return RseSource(connection, self._expression)
        if view_id == "rules":
            from .rucio_rules import RuleSource

            return RuleSource(connection, self._max_ok_rules)
        if view_id == "requests":
            from .fts import FtsClient
            from .rucio_requests import RequestSource

            return RequestSource(connection, FtsClient(self._profile), self._profile.fts)
        from .credentials import CredentialSource

        return CredentialSource(self._profile, connection, box, self.proofs)

    def _token_box(self) -> TokenBox:
        from .rucio_session import TokenBox

        with self._lock:
            if self._box is None:
                self._box = TokenBox(self._profile, self._runtime_dir)
            return self._box

    def desk(self, state_dir: Path) -> Desk:
        """The desk of the profile's credentials, with this backend's Rucio session; imports what it needs, so call it in a lane."""
        from .desk import CredentialDesk

        return CredentialDesk(self._profile, self._runtime_dir, state_dir, box=self._token_box(), ended=self.abandon)

    def clock_offset(self) -> timedelta:
        """Of the connection that heard the server last."""
        return next((each.offset for each in reversed(self._connections) if each.offset), timedelta())

    def note(self, view_id: str) -> str:
        """The note of a source that exists already."""
        return str(getattr(self._sources.get(view_id), "note", ""))

    def subject(self) -> SafeText | None:
        """The subject, once the credentials were read."""
        source = self._sources.get("credentials")
        return source.subject if source is not None else None

    def abandon(self) -> None:
        """Break off all calls; never blocks for long."""
        for each in list(self._connections):
            each.abandon()


class _Later:
    """A Source that makes the real one at its first call."""

    def __init__(self, deferred: Deferred, view_id: str) -> None:
        self._deferred = deferred
        self._view_id = view_id

    def full(self, cancel: Cancel) -> Iterator[Sequence[Any]]:
        """The listing of the real source; raises Problem."""
        return iter(self._deferred.real(self._view_id).full(cancel))

    def since(self, moment: datetime, cancel: Cancel) -> Iterator[Sequence[Any]] | None:
        """The increments of the real source; raises Problem."""
        listing: Iterator[Sequence[Any]] | None = self._deferred.real(self._view_id).since(moment, cancel)
        return listing
