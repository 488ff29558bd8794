"""One profile's session: its feeds and its identity. Opening and closing never block."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from typing import Any

from ..domain.credential import Credential
from ..domain.profile import Identity, Profile, host_text
from ..domain.table import View
from ..domain.text import SafeText, clean
from .feeds import FeedPort
from .lanes import Lanes
from .pace import Pace, Truce
from .polling import Feed, SystemClock
from .ports import Backend, Connect, Preferences, Snapshots
from .snapshot import SnapshotDirectory
from .views import credentials, requests, rses, rules

VIEWS: tuple[View[Any], ...] = (rses.VIEW, rules.VIEW, requests.VIEW, credentials.VIEW)
PACES = {
    "rses": Pace(interval=15.0, sweep_min=15.0),
    "rules": Pace(interval=2.0),
    "requests": Pace(interval=4.0),
    "credentials": Pace(interval=15.0, time_limit=60.0),
}
_connect: list[Connect] = []


def wire(connect: Connect) -> None:
    """Say how backends are made; the command line does so once, tests with a backend of their own."""
    _connect[:] = [connect]


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
    ending = sorted((row.expires, row.kind) for row in rows if row.expires is not None and row.kind != RENEWED)
    return (clean(ending[0][1]), ending[0][0].astimezone(UTC)) if ending else None


RENEWED = "Rucio session"
"""Renews itself while the credential behind it lives, so it is not what runs out."""


def open_session(profile: Profile, settings: Preferences, *, read_only: bool = False, start: bool = True) -> Session:
    """A session whose feeds begin, at once or with `start`; logging in happens in their lanes.

    Raises RuntimeError when nothing is wired.
    """
    if not _connect:
        raise RuntimeError("no backend is wired: call services.session.wire first")
    snapshots = SnapshotDirectory(settings.state_dir, profile)
    return Session(profile, _connect[0](profile, settings), snapshots=snapshots, read_only=read_only, start=start)
