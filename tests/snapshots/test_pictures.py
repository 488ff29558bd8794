"""What the console looks like. `pytest tests/snapshots --snapshot-update` accepts a new look; look at it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from qostui.domain.errors import ConnectionProblem
from qostui.ui.console import QostuiApp
from tests.functional import fakes

Pictured = Callable[..., QostuiApp]
Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
PANES = {"rses": "1", "rules": "2", "transfers": "3", "credentials": "4"}


def pressing(*keys: str) -> Callable[[Pilot[int]], Awaitable[None]]:
    async def press(pilot: Pilot[int]) -> None:
        await pilot.pause(0.2)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        app = pilot.app
        assert isinstance(app, QostuiApp)
        for _ in range(3):
            await pilot.pause(0.1)
            if app.pane is not None:
                app.pane.drain()
            app.show_frame()
        await pilot.pause()

    return press


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pane", PANES)
def test_pane(snap_compare: Compare, pictured: Pictured, pane: str, size: str) -> None:
    assert snap_compare(pictured(), terminal_size=SIZES[size], run_before=pressing(PANES[pane]))


@pytest.mark.parametrize("size", SIZES)
def test_detail(snap_compare: Compare, pictured: Pictured, size: str) -> None:
    assert snap_compare(pictured(), terminal_size=SIZES[size], run_before=pressing("2", "space", "enter"))


@pytest.mark.parametrize("size", SIZES)
def test_failing_source(snap_compare: Compare, pictured: Pictured, size: str) -> None:
    def fail(session: fakes.FakeSession) -> None:
        problem = ConnectionProblem("localhost:21443 does not answer", step="is the lake up? qostui lake status")
        session.feed("rules").fail(problem, fakes.NOW + timedelta(seconds=8))

    assert snap_compare(pictured(prepare=fail), terminal_size=SIZES[size], run_before=pressing("2"))


@pytest.mark.parametrize("size", SIZES)
def test_profiles(snap_compare: Compare, pictured: Pictured, size: str) -> None:
    assert snap_compare(pictured(), terminal_size=SIZES[size], run_before=pressing("ctrl+t"))


@pytest.mark.parametrize("size", SIZES)
def test_actions(snap_compare: Compare, pictured: Pictured, size: str) -> None:
    assert snap_compare(pictured(), terminal_size=SIZES[size], run_before=pressing("4", "j", "a"))


@pytest.mark.parametrize("size", SIZES)
def test_action_form(snap_compare: Compare, pictured: Pictured, size: str) -> None:
    assert snap_compare(pictured(), terminal_size=SIZES[size], run_before=pressing("4", "j", "a", "m"))


@pytest.mark.parametrize("size", SIZES)
def test_first_run(snap_compare: Compare, pictured: Pictured, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QOSTUI_CONFIG", "~/.config/qostui/config.toml")
    assert snap_compare(pictured(profile=None), terminal_size=SIZES[size], run_before=pressing(*"esc"))


@pytest.mark.parametrize("theme", ["light", "contrast", "colour-blind", "sixteen"])
def test_theme(snap_compare: Compare, pictured: Pictured, theme: str) -> None:
    assert snap_compare(pictured(theme=theme), terminal_size=SIZES["120x40"], run_before=pressing("2", "enter"))
