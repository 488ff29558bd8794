"""The profile picker says which profile has to log in first."""

from __future__ import annotations

import threading

from qostui.domain.profile import Profile

from .conftest import Opened


async def test_the_picker_says_which_profile_needs_a_log_in(console: Opened) -> None:
    asked: list[str] = []

    def lacks(profile: Profile) -> str:
        asked.append(threading.current_thread().name)
        return {"lake-alice": "log in", "production": "no key"}.get(profile.name, "")

    async with console() as seen:
        seen.app._lacks = lacks
        await seen.press("ctrl+t")
        await seen.until("▲ no key")
        assert "▲ log in" in seen.screen
        assert seen.screen.count("▲ no ") == 1
        assert threading.main_thread().name not in asked
