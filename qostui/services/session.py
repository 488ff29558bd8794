"""One profile's session: its feeds and its identity. Opening and closing never block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from ..domain.credential import Credential
from ..domain.profile import Identity, Profile, host_text
from ..domain.table import Row, View
from ..domain.text import SafeText, clean
from .errands import Errand, Told, begin
from .feeds import Cancel, Cancelled, FeedPort
from .lanes import Lanes
from .pace import Pace, Truce
from .polling import Feed, SystemClock
from .ports import Backend, Connect, Lacks, Preferences, Snapshots
from .snapshot import SnapshotDirectory
from .views import credentials, requests, rses, rules

if TYPE_CHECKING:
    from .ports_credentials import Desk
    from .warnings import Ending, Watch

VIEWS: tuple[View[Any], ...] = (rses.VIEW, rules.VIEW, requests.VIEW, credentials.VIEW)
PACES = {
    "rses": Pace(interval=15.0, sweep_min=15.0),
    "rules": Pace(interval=2.0),
    "requests": Pace(interval=4.0),
    "credentials": Pace(interval=15.0, time_limit=60.0),
}
ERRAND_S = 60.0
"""Seconds that one piece of work with a credential may take."""
REPORT_S = 600.0
"""Seconds for trying every door with every credential."""
T = TypeVar("T")
_connect: list[Connect] = []
_lacks: list[Lacks] = []


def wire(connect: Connect, lacks: Lacks | None = None) -> None:
    """Say how backends are made, and how it is seen what a profile lacks; the command line does so once, tests with their own."""
    _connect[:] = [connect]
    _lacks[:] = [lacks] if lacks is not None else []


def lacking(profile: Profile, settings: Preferences) -> str:
    """What a profile lacks for its log-in, in a word or two; "" when nothing, or where that is not known. May wait for a disk."""
    return _lacks[0](profile, settings) if _lacks else ""


def view(name: str) -> View[Any]:
    """The view called `name` (id or alias); raises KeyError."""
    for candidate in VIEWS:
        if name == candidate.id or name in candidate.aliases:
            return candidate
    raise KeyError(name)


class Session:
    """Feeds and identity of one profile; nothing of it outlives `close`."""

    views = VIEWS

    def __init__(
        self, profile: Profile, backend: Backend, *, snapshots: Snapshots | None = None, read_only: bool = False, start: bool = True
    ) -> None:
        self.profile = profile
        self.read_only = read_only or profile.read_only
        self._backend = backend
        self._lanes = Lanes()
        self._watch: Watch | None = None
        truce = Truce(SystemClock())
        self._first = Event()
        self._feeds: dict[str, Feed[Any]] = {
            each.id: Feed(
                each.id,
                backend.source(each.id),
                self._lanes,
                pace=PACES[each.id],
                server_now=backend.server_now,
                note=partial(backend.note, each.id),
                snapshots=snapshots,
                # Credentials are files of ours; what runs out is told whatever the server asks for, and at once.
                truce=None if each.id == "credentials" else truce,
                first=None if each.id == "credentials" else self._first,
            )
            for each in VIEWS
        }
        if start:
            self.start()

    def recall(self, view_id: str) -> None:
        """Read the kept rows of a view, in a thread, before anything is asked: while the screen is still being loaded."""
        Thread(target=self._feeds[view_id].recall, name=f"recall-{view_id}", daemon=True).start()

    def start(self) -> None:
        """Begin to ask, feed by feed in threads of their own."""
        for feed in self._feeds.values():
            feed.start()

    def feed(self, view_id: str) -> FeedPort[Any]:
        """The feed of a view; raises KeyError."""
        return self._feeds[view_id]

    def rows(self, view_id: str) -> list[Any]:
        """All rows of a view as they are now."""
        return self._feeds[view_id].rows()

    def watch(self, view_ids: set[str]) -> None:
        """Poll these at full rate, the others slowly."""
        for name, feed in self._feeds.items():
            # The header shows what runs out next, whatever pane is open; reading local files costs nothing.
            feed.watch(name in view_ids or name == "credentials")
        if view_ids == {"credentials"}:
            self._first.set()

    def refresh(self) -> None:
        """Poll all feeds now."""
        for feed in self._feeds.values():
            feed.refresh()

    def begin(self, name: str, work: Callable[[Desk, Cancel], T], told: Told[T], *, time_limit_s: float = ERRAND_S) -> Errand:
        """Begin work at the desk of credentials in a lane; `told` hears in that lane's thread how it ended."""
        return begin(self._lanes, name, lambda cancel: work(self._backend.desk(), cancel), told, time_limit_s)

    def report(self, name: str, take: Callable[[Sequence[Row]], None], told: Told[None]) -> Errand:
        """Begin `where` (what works where) or `doctor` in a lane; `take` gets its rows as they come, `told` hears that it ended."""
        asked = {"where": self._backend.access, "doctor": self._backend.findings}[name]

        def read(cancel: Cancel) -> None:
            for batch in asked(cancel):
                if not cancel.wanted:
                    raise Cancelled
                take(batch)

        return begin(self._lanes, name, read, told, REPORT_S)

    def report_view(self, name: str) -> View[Any]:
        """The view of the rows of a report; loaded when it is first wanted."""
        if name == "where":
            from .views import access

            return access.VIEW
        from .views import findings

        return findings.VIEW

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a program on the terminal that the console has left; its exit status. Raises Problem."""
        return self._backend.on_terminal(arguments, environment)

    def endings(self, now: datetime) -> list[Ending]:
        """Credentials that have crossed a threshold before their end since this was last asked."""
        feed = self._feeds["credentials"]
        if feed.status.from_last_run or not feed.status.count:
            return []
        if self._watch is None:
            from .warnings import Watch  # not loaded before the first picture

            self._watch = Watch()
        return self._watch.look(feed.rows(), now)

    def identity(self) -> Identity:
        """Who and where we are, and what runs out next."""
        profile, feed = self.profile, self._feeds["credentials"]
        status = feed.status
        return Identity(
            profile=profile.name,
            host=host_text(profile.rucio_host),
            account=profile.account,
            method=profile.auth,
            subject=self._backend.subject(),
            read_only=self.read_only,
            color=profile.color,
            next_expiry=None if status.from_last_run else _next_expiry(feed.rows()),
            problem=status.problem,
        )

    def close(self) -> None:
        """End everything; returns at once."""
        for feed in self._feeds.values():
            feed.stop()
        self._lanes.close()
        self._backend.close()


def _next_expiry(rows: list[Credential]) -> tuple[SafeText, datetime] | None:
    ending = sorted((row.expires, row.kind) for row in rows if row.expires is not None and not row.renews)
    return (clean(ending[0][1]), ending[0][0].astimezone(UTC)) if ending else None


def open_session(profile: Profile, settings: Preferences, *, read_only: bool = False, start: bool = True) -> Session:
    """A session whose feeds begin, at once or with `start`; logging in happens in their lanes.

    Raises RuntimeError when nothing is wired.
    """
    if not _connect:
        raise RuntimeError("no backend is wired: call services.session.wire first")
    snapshots = SnapshotDirectory(settings.state_dir, profile)
    return Session(profile, _connect[0](profile, settings), snapshots=snapshots, read_only=read_only, start=start)
