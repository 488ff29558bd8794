"""Keys: every binding can be rebound, none has two meanings, and lower-case ones change nothing outside."""

from __future__ import annotations

from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from qostui.ui.console import Main, QostuiApp
from qostui.ui.panes import PANES
from qostui.ui.panes.feed_pane import FilterInput
from qostui.ui.screens.first_run import FirstRun
from qostui.ui.screens.help import Dialog
from qostui.ui.screens.switch import Switch
from qostui.ui.widgets.detail import Detail
from qostui.ui.widgets.jump import JumpInput
from qostui.ui.widgets.line import Sheet
from qostui.ui.widgets.live_table import LiveTable

from . import fakes
from .conftest import Opened

OURS: tuple[type[DOMNode], ...] = (QostuiApp, Main, *PANES, LiveTable, Detail, Sheet, FilterInput, JumpInput, Dialog, Switch, FirstRun)
PURE = frozenset(
    {
        "open",
        "sort",
        "mark",
        "move",
        "page",
        "edge",
        "shift",
        "filter",
        "refresh_feed",
        "copy",
        "problem",
        "back",
        "close",
        "leave",
        "submit",
        "complete",
        "jump",
        "help",
        "switch",
        "command_palette",
        "next_pane",
        "pane",
        "last_pane",
        "end",
        "dismiss",
        "scroll_down",
        "scroll_up",
        "page_down",
        "page_up",
        "scroll_home",
        "scroll_end",
        "focus_next",
        "focus_previous",
    }
)
"""Actions that only move, show, ask for rows or leave."""


def own(kind: type[DOMNode]) -> list[Binding]:
    """The bindings that the class and those of ours it is built on declare, one for each key."""
    found = []
    for base in kind.__mro__:
        if base.__module__.startswith("qostui.") and "BINDINGS" in vars(base):
            found += list(Binding.make_bindings(vars(base)["BINDINGS"]))
    return found


@pytest.mark.parametrize("kind", OURS)
def test_every_binding_has_an_id_and_says_what_it_does(kind: type[DOMNode]) -> None:
    bindings = own(kind)
    assert bindings
    for binding in bindings:
        assert binding.id, f"{kind.__name__}: {binding.key}"
        assert binding.description, f"{kind.__name__}: {binding.key}"


@pytest.mark.parametrize("pane", PANES)
def test_no_key_has_two_meanings_in_a_pane(pane: type[DOMNode]) -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for kind in (LiveTable, pane, Main, QostuiApp):
        for binding in own(kind):
            meanings[binding.key].add(binding.action.removeprefix("app."))
    assert {key: actions for key, actions in meanings.items() if len(actions) > 1} == {}


def test_the_same_key_means_the_same_in_all_panes() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for pane in PANES:
        for binding in own(pane):
            meanings[binding.key].add(binding.action)
    assert {key: actions for key, actions in meanings.items() if len(actions) > 1} == {}


def test_lower_case_keys_change_nothing_outside() -> None:
    for kind in OURS:
        for binding in own(kind):
            if binding.key.islower():
                action = binding.action.removeprefix("app.").partition("(")[0]
                assert action in PURE or (kind, action) == (FirstRun, "write"), f"{kind.__name__}: {binding.key} {action}"


async def test_the_footer_names_the_keys_that_work_here(console: Opened) -> None:
    async with console(pane="2", size=(80, 24)) as seen:
        footer = seen.screen.splitlines()[-1]
        for text in ("enter detail", "/ filter", "? help", "q quit"):
            assert text in footer
        await seen.press("enter")
        assert "esc close" in seen.screen.splitlines()[-1]


async def test_help_lists_the_keys_from_the_bindings(console: Opened) -> None:
    async with console(pane="2", size=(120, 60)) as seen:
        await seen.press("?")
        for text in ("enter  d", "detail", "ctrl+t", "switch profile", "state:stuck,replicating"):
            assert text in seen.screen
        await seen.press("2")
        assert "Keys and words" in seen.screen, "keys of the panes do nothing under a dialog"
        await seen.press("escape")
        assert "Keys and words" not in seen.screen


async def test_keys_can_be_rebound(console: Opened) -> None:
    settings = fakes.FakeSettings(fakes.PROFILES, keymap={"pane.refresh": "f5", "app.pane-3": "t"})
    async with console(pane="2", settings=settings) as seen:
        await seen.press("r")
        assert seen.session.feed("rules").refreshed == 0
        await seen.press("f5")
        assert seen.session.feed("rules").refreshed == 1
        await seen.press("t")
        assert seen.pane.view_id == "requests"
