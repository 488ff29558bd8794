"""A console over fake feeds, driven by keys."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot

from qostui.domain.profile import Profile
from qostui.ui import terminal
from qostui.ui.console import QostuiApp
from qostui.ui.panes import FeedPane
from qostui.ui.widgets.live_table import LiveTable

from . import fakes


@dataclass
class Console:
    """The app under test, its sessions in the order of their opening, and a clock that the test moves."""

    app: QostuiApp
    pilot: Pilot[int]
    clock: Clock
    sessions: list[fakes.FakeSession] = field(default_factory=list)

    @property
    def session(self) -> fakes.FakeSession:
        return self.sessions[-1]

    @property
    def pane(self) -> FeedPane:
        pane = self.app.pane
        assert pane is not None
        return pane

    @property
    def table(self) -> LiveTable[object]:
        return self.pane.table

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Until the screen shows what the feeds hold."""
        await self.pilot.pause()
        if self.app.pane is not None:
            self.app.pane.drain()
        self.app.show_frame()
        await self.pilot.pause()

    async def until(self, wanted: str | Callable[[], bool]) -> None:
        """Settle until this stands on the screen, or holds: what is done in a lane takes its time."""
        deadline = time.monotonic() + 20
        while not (wanted in self.screen if isinstance(wanted, str) else wanted()):
            assert time.monotonic() < deadline, f"{wanted!r} is not seen in\n{self.screen}"
            await self.settle()

    @property
    def screen(self) -> str:
        """What a person would read, line by line."""
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in self.app.screen._compositor.render_strips())

    @property
    def keys(self) -> list[str]:
        """Keys of the rows in the table, from top to bottom."""
        return self.table.model.keys(0, len(self.table.model))


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    moment: datetime = fakes.NOW

    def now(self) -> datetime:
        return self.moment


Opened = Callable[..., AbstractAsyncContextManager[Console]]


@pytest.fixture
def console(tmp_path: Path) -> Opened:
    """Opens a console: `async with console(size=(80, 24), pane="2") as seen`."""

    @asynccontextmanager
    async def opened(
        *,
        size: tuple[int, int] = (120, 40),
        pane: str = "",
        feeds: dict[str, fakes.FakeFeed] | None = None,
        profile: str | None = "lake-ops",
        environ: dict[str, str] | None = None,
        settings: fakes.FakeSettings | None = None,
        line: terminal.Line = terminal.LOCAL,
        themes: tuple[Path, ...] = (),
    ) -> AsyncIterator[Console]:
        sessions: list[fakes.FakeSession] = []
        clock = Clock()

        def session(wanted: Profile) -> fakes.FakeSession:
            made = fakes.FakeSession(wanted, (feeds if not sessions else None) or fakes.feeds())
            sessions.append(made)
            return made

        app = QostuiApp(
            replace(settings or fakes.FakeSettings(fakes.PROFILES), state_dir=tmp_path),
            profile,
            session,
            now=clock.now,
            environ=environ or {},
            line=line,
            theme_directories=themes,
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            seen = Console(app, pilot, clock, sessions)
            await seen.settle()
            await seen.settle()
            if pane:
                await seen.press(pane)
            yield seen

    return opened
