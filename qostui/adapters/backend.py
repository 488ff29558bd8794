"""One profile's backend: its sources over its connections. Making it costs nothing and asks nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ..domain.profile import Profile
from ..domain.table import Row
from ..domain.text import SafeText, clean
from ..services.feeds import Cancel, Source
from ..services.ports import Preferences
from . import own_places
from .deferred import Deferred

if TYPE_CHECKING:
    from ..services.ports_credentials import Desk


class RucioBackend:
    """Four sources, each with a connection of its own, and one Rucio token between them.

    The adapters behind them are imported in the lane of the first call: rucio, requests and cryptography take longer to
    load than the console takes to its first picture.
    """

    def __init__(self, profile: Profile, preferences: Preferences, expression: str = "") -> None:
        self._profile = own_places.completed(profile, Path(preferences.runtime_dir))
        self._preferences = preferences
        self._state_dir = Path(preferences.state_dir)
        self._deferred = Deferred(self._profile, Path(preferences.runtime_dir), preferences.max_ok_rules, expression)

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

    def desk(self) -> Desk:
        """What can be done with the credentials; to be made and used in a lane."""
        return self._deferred.desk(self._state_dir)

    def access(self, cancel: Cancel) -> Iterator[Sequence[Row]]:
        """What works where, over connections of its own; raises Problem."""
        from .door_report import rows

        return rows(self._profile, Path(self._preferences.runtime_dir), self._deferred.proofs, cancel)

    def findings(self, cancel: Cancel) -> Iterator[Sequence[Row]]:
        """What the doctor finds, as its checks end; raises Cancelled."""
        from .doctor import examine

        return ([finding] for finding in examine(self._profile, self._preferences, cancel))

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """The exit status of a program that had the terminal; raises Problem when it cannot be run."""
        from .on_terminal import run

        return run(arguments, environment)

    def close(self) -> None:
        """Break off all calls."""
        self._deferred.abandon()
        pools = sys.modules.get(f"{__package__}.gfal_pools")
        if pools is not None:
            # What was never loaded has started nothing; killing takes milliseconds that a switch does not wait for.
            Thread(target=pools.POOLS.retire, args=(self._profile.name,), name="retire-gfal", daemon=True).start()


def lacking(profile: Profile, preferences: Preferences) -> str:
    """What `services.session.wire` takes beside: what the profile lacks for its log-in."""
    from .readiness import lacking as look

    return look(profile, preferences)


def connect(profile: Profile, preferences: Preferences) -> RucioBackend:
    """What `services.session.wire` takes."""
    return RucioBackend(profile, preferences)
