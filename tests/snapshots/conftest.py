"""The console that is pictured: rows made by hand, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qostui.domain.profile import Profile
from qostui.ui.console import QostuiApp
from tests.functional import fakes


@pytest.fixture
def pictured(tmp_path: Path) -> Callable[..., QostuiApp]:
    """Makes the app; `prepare` gets each session before it is shown."""

    def made(
        profile: str | None = "lake-ops", prepare: Callable[[fakes.FakeSession], None] = lambda _: None, theme: str = "qostui"
    ) -> QostuiApp:
        def opened(wanted: Profile) -> fakes.FakeSession:
            session = fakes.FakeSession(wanted, fakes.feeds())
            prepare(session)
            return session

        settings = fakes.FakeSettings(fakes.PROFILES, theme=theme, state_dir=tmp_path)
        return QostuiApp(settings, profile, opened, now=lambda: fakes.NOW, environ={})

    return made
