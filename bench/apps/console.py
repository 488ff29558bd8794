"""The real console over made-up rules: `python -m bench.apps.console COUNT [CONTROL_FD]`.

Commands come on the control descriptor, one a line, so that one start serves several measurements:

    ready        make changes ready, so that the first of them costs no more than others
    busy         100 changed rows every 100 ms, 70 of them move in the table, 2 stand in sight
    refresh      40 rows of those first in the table change each second
    rest         nothing changes
    cell         one cell of one row in sight changes, once
    tick N       the clock goes on by N seconds; it stands still until then
    run          the clock runs
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qostui.domain.profile import Identity, Profile
from qostui.domain.rule import Rule
from qostui.domain.table import Row, View
from qostui.domain.text import clean
from qostui.services.errands import Errand, Told
from qostui.services.feeds import Cancel, Changes, FeedStatus
from qostui.services.ports_credentials import Desk
from qostui.services.store import Store
from qostui.services.views import credentials, requests, rses
from qostui.services.views import rules as rules_view
from qostui.services.warnings import Ending, Watch

from . import rows

if TYPE_CHECKING:
    from qostui.ui.console import QostuiApp

T = TypeVar("T")
BATCH, MOVING, IN_SIGHT = 100, 70, 2
BATCH_EVERY = 0.1
REFRESHED = 40
LOAD_BATCH = 500
PROFILE = Profile("bench", "https://localhost:1", "ops", "userpass")
VIEWS: tuple[View[Any], ...] = (rules_view.VIEW, rses.VIEW, requests.VIEW, credentials.VIEW)


class StoreFeed:
    """A FeedPort over the product's own store."""

    def __init__(self) -> None:
        self.store: Store[Any] = Store()

    @property
    def status(self) -> FeedStatus:
        # Twelve hours old, so that the age in the feed line does not count on while bytes are counted.
        return FeedStatus("live", count=self.store.count, good_at=rows.NOW - timedelta(hours=12))

    def listen(self, told: Callable[[], None]) -> None:
        """As a feed does."""
        self.store.listen(told)

    def drain(self) -> Changes[Any]:
        """All changes since the last drain."""
        return self.store.drain()

    def refresh(self) -> None:
        """There is nobody to ask."""


class BenchSession:
    """A SessionPort whose rules are made up; the other feeds are empty, and nothing is done with credentials."""

    profile = PROFILE

    def __init__(self, made: list[Rule]) -> None:
        self._watch = Watch()
        self._feeds = {view.id: StoreFeed() for view in VIEWS}
        self.closed = threading.Event()
        self._made = made

    @property
    def views(self) -> tuple[View[Any], ...]:
        return VIEWS

    def feed(self, view_id: str) -> StoreFeed:
        return self._feeds[view_id]

    def identity(self) -> Identity:
        return Identity(PROFILE.name, "localhost:1", PROFILE.account, PROFILE.auth, clean("ops"))

    def watch(self, view_ids: set[str]) -> None:
        """All feeds are local."""

    def begin(self, name: str, work: Callable[[Desk, Cancel], T], told: Told[T], *, time_limit_s: float = 60.0) -> Errand:
        """There is no desk here; nobody is told."""
        return Errand()

    def report(self, name: str, take: Callable[[Sequence[Row]], None], told: Told[None]) -> Errand:
        """There is nothing to report; nobody is told."""
        return Errand()

    def report_view(self, name: str) -> View[Any]:
        """Any will do."""
        return credentials.VIEW

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """No program is run."""
        return 1

    def endings(self, now: datetime) -> list[Ending]:
        """As a session looks."""
        return self._watch.look(self._feeds["credentials"].store.rows(), now)

    def close(self) -> None:
        self.closed.set()

    def load(self) -> None:
        """Put all rules into the store as a listing would."""
        store = self._feeds["rules"].store
        store.begin()
        for start in range(0, len(self._made), LOAD_BATCH):
            store.put(self._made[start : start + LOAD_BATCH])
            time.sleep(0.002)
        store.end()
        self._made = []


class Clock:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self._at = rows.NOW
        self._running_since: float | None = None

    def now(self) -> datetime:
        """The moment, UTC."""
        if self._running_since is None:
            return self._at
        return self._at + timedelta(seconds=time.monotonic() - self._running_since)

    def tick(self, seconds: float) -> None:
        """Go on by so much."""
        self._at += timedelta(seconds=seconds)

    def run(self) -> None:
        """Go on with the time of the machine."""
        self._running_since = time.monotonic()


class Feeder:
    """Changes rows as it is told."""

    def __init__(self, session: BenchSession, clock: Clock) -> None:
        self._store = session.feed("rules").store
        self._session = session
        self._clock = clock
        self._traffic = rows.Traffic([])
        self._mode = "rest"
        self._wake = threading.Condition()
        self.app: QostuiApp | None = None

    def obey(self, control: int) -> None:
        """Read commands until the other end closes."""
        with os.fdopen(control) as commands:
            for line in commands:
                name, _, value = line.strip().partition(" ")
                if name == "ready":
                    self._traffic = rows.Traffic(self._store.rows())
                elif name == "cell":
                    self._store.put(self._traffic.one())
                elif name == "tick":
                    self._clock.tick(float(value))
                elif name == "run":
                    self._clock.run()
                else:
                    with self._wake:
                        self._mode = name
                        self._wake.notify()

    def feed(self) -> None:
        """Put changed rows at the rate of the mode, on a fixed beat."""
        due = time.monotonic()
        while not self._session.closed.is_set():
            with self._wake:
                if self._mode == "rest":
                    self._wake.wait()
                    due = time.monotonic()
                    continue
                busy = self._mode == "busy"
            if busy:
                self._store.put(self._traffic.batch(BATCH, MOVING, IN_SIGHT, self._cursor()))
            else:
                self._store.put(self._traffic.first(REFRESHED))
            due += BATCH_EVERY if busy else 1.0
            time.sleep(max(0.0, due - time.monotonic()))

    def _cursor(self) -> str | None:
        pane = self.app.pane if self.app is not None else None
        return pane.table.cursor_key if pane is not None else None


def main(arguments: list[str]) -> int:
    """Run the console with the settings that users get."""
    from qostui.ui import terminal

    line = terminal.line(os.environ)
    terminal.prepare(os.environ, line)
    from qostui.config import Settings
    from qostui.ui.app import serve
    from qostui.ui.console import QostuiApp

    settings = Settings(profiles={PROFILE.name: PROFILE}, state_dir=Path(os.environ["HOME"]) / "state")  # as of one who set nothing
    made = rows.rules(int(arguments[0]))
    session, clock = BenchSession(made), Clock()
    feeder = Feeder(session, clock)

    def opened(profile: Profile) -> BenchSession:
        for work in (session.load, feeder.feed):
            threading.Thread(target=work, daemon=True).start()
        return session

    if len(arguments) > 1:
        threading.Thread(target=feeder.obey, args=(int(arguments[1]),), daemon=True).start()
    feeder.app = app = QostuiApp(settings, PROFILE.name, opened, now=clock.now, line=line)
    del made
    return serve(app)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
