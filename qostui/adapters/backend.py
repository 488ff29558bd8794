"""One profile's backend: its sources over its connections. Making it costs nothing and asks nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..domain.profile import Profile
from ..domain.text import SafeText, clean
from ..services.feeds import Source
from ..services.ports import Preferences
from .deferred import Deferred


class RucioBackend:
    """Four sources, each with a connection of its own, and one Rucio token between them.

    The adapters behind them are imported in the lane of the first call: rucio, requests and cryptography take longer to
    load than the console takes to its first picture.
    """

    def __init__(self, profile: Profile, preferences: Preferences, expression: str = "") -> None:
        self._profile = profile
        self._deferred = Deferred(profile, Path(preferences.runtime_dir), preferences.max_ok_rules, expression)

    def source(self, view_id: str) -> Source[Any]:
        """The source of a view; raises KeyError."""
        return self._deferred.source(view_id)

    def server_now(self) -> datetime:
        """The moment on the server's clock."""
        return datetime.now(UTC) + self._deferred.clock_offset()

    def note(self, view_id: str) -> str:
        """What the last listing left out on purpose."""
        return self._deferred.note(view_id)

    def subject(self) -> SafeText:
        """Who the credential says we are."""
        known = self._deferred.subject()
        return known or clean(self._profile.login_name if self._profile.auth == "userpass" else "")

    def close(self) -> None:
        """Break off all calls."""
        self._deferred.abandon()


def connect(profile: Profile, preferences: Preferences) -> RucioBackend:
    """What `services.session.wire` takes."""
    return RucioBackend(profile, preferences)
