"""Keys: every binding can be rebound, none has two meanings, and lower-case ones change nothing outside."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key
from textual.widgets import Input

from qostui import ui
from qostui.domain import keys
from qostui.ui.console import Main, QostuiApp
from qostui.ui.panes import PANES
from qostui.ui.panes.credentials import CredentialsPane
from qostui.ui.panes.feed_pane import FilterInput
from qostui.ui.screens.actions import Actions
from qostui.ui.screens.columns import Columns
from qostui.ui.screens.credential_forms import Form
from qostui.ui.screens.device_login import DeviceLogin
from qostui.ui.screens.first_run import FirstRun
from qostui.ui.screens.help import Dialog
from qostui.ui.screens.report import Report
from qostui.ui.screens.switch import Switch
from qostui.ui.widgets.detail import Detail
from qostui.ui.widgets.jump import JumpInput
from qostui.ui.widgets.line import Sheet
from qostui.ui.widgets.live_table import LiveTable

from . import fakes
from .conftest import Opened

BOUND: dict[str, tuple[type[DOMNode], ...]] = {
    "table": (LiveTable,),
    "pane": PANES,
    "credentials": (CredentialsPane,),
    "detail": (Detail,),
    "sheet": (Sheet,),
    "filter": (FilterInput,),
    "jump": (JumpInput,),
    "dialog": (Dialog,),
    "switch": (Switch,),
    "columns": (Columns,),
    "actions": (Actions,),
    "form": (Form,),
    "device": (DeviceLogin,),
    "report": (Report,),
    "first": (FirstRun,),
    "main": (Main,),
    "everywhere": (QostuiApp,),
}
"""Place of the table of keys -> the classes that bind there."""
OWN_NAMES = frozenset({"pane", "credentials", "detail"})
"""Places whose classes are built on others that bind too: their own bindings are those named after the place."""
OURS: tuple[type[DOMNode], ...] = tuple(kind for kinds in BOUND.values() for kind in kinds)
PURE = frozenset(
    {
        "open",
        "ask_column",
        "columns",
        "actions",
        "report",
        "choose",
        "again",
        "show_or_hide",
        "widen",
        "plain",
        "take",
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
        "recall",
        "redraw",
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
CONFIRM = {(FirstRun, "write"), (Form, "do")}
"""What is pressed on a page that says what will happen."""


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


def test_the_table_of_keys_is_that_of_the_widgets() -> None:
    assert set(BOUND) == set(keys.PLACES)
    for place, kinds in BOUND.items():
        for kind in kinds:
            bound: dict[str, set[str]] = defaultdict(set)
            for binding in own(kind):
                bound[binding.id or ""].add(binding.key)
            if place in OWN_NAMES:
                bound = {name: each for name, each in bound.items() if name.startswith(f"{place}.")}
            assert dict(bound) == {name: set(keys.split(each)) for name, each in keys.PLACES[place].items()}, kind


def test_no_class_binds_keys_that_the_table_does_not_know() -> None:
    found = set()
    for module in pkgutil.walk_packages(ui.__path__, "qostui.ui."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and kind.__module__ == module.name and vars(kind).get("BINDINGS"):
                found.add(kind)
    assert found - {base for kind in OURS for base in kind.__mro__} == set()


def test_keys_of_the_text_fields_are_those_of_textual() -> None:
    assert set(keys.split(keys.EDITING)) == {binding.key for binding in Binding.make_bindings(Input.BINDINGS)}


def test_names_of_keys_are_those_of_textual() -> None:
    known = {key.value for key in Keys}
    assert keys.NAMED - known == set()
    for name, character in keys.CHARACTERS.items():
        assert name == "space" or _character_to_key(character) == name


@pytest.mark.parametrize("chain", keys.CHAINS, ids=lambda chain: chain.title)
def test_no_key_has_two_meanings(chain: keys.Chain) -> None:
    """Where a key means two things the inner one leaves what it is in: those are named, and there are no others."""
    assert {(key, first, second) for key, first, second in keys.shared(chain, {})} <= {
        ("escape", "pane.back", "detail.close"),
        ("q", "dialog.close", "app.quit"),
        ("q", "switch.leave", "app.quit"),
        ("q", "columns.leave", "app.quit"),
        ("q", "app.quit", "actions.leave"),
        ("q", "device.leave", "app.quit"),
        ("q", "report.leave", "app.quit"),
        ("escape", "report.leave", "detail.close"),
        # In a field it goes to the next one, and from the last one does it; without fields it does it.
        ("enter", "form.do", ""),
        ("escape", "pane.back", "filter.leave"),
        ("tab", "filter.take", "app.next-pane"),
        ("shift+tab", "filter.take", "app.pane-before"),
        ("tab", "jump.next", "app.next-pane"),
        ("shift+tab", "jump.before", "app.pane-before"),
        # Textual copies with it where text is typed, before it quits elsewhere.
        ("ctrl+c", "app.quit", ""),
    }


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
                assert action in PURE or (kind, action) in CONFIRM, f"{kind.__name__}: {binding.key} {action}"


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
        for text in ("enter  d", "detail", "ctrl+t", "switch profile"):
            assert text in seen.screen
        await seen.press("G")
        assert "state:stuck,replicating" in seen.screen
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


async def test_a_key_that_prints_does_nothing_while_text_is_typed(console: Opened) -> None:
    settings = fakes.FakeSettings(fakes.PROFILES, keymap={"app.switch": "t", "app.palette": "p"})
    async with console(pane="2", settings=settings) as seen:
        await seen.press("/", *"tp")
        assert seen.pane.filter == "tp"
        assert len(seen.app.screen_stack) == 1
        await seen.press("escape", ":", *"tp", "escape", "t")
        assert len(seen.app.screen_stack) == 2, "elsewhere it works"


async def test_the_palette_leaves_its_key_to_others(console: Opened) -> None:
    settings = fakes.FakeSettings(fakes.PROFILES, keymap={"app.palette": "f1", "pane.refresh": "ctrl+p"})
    async with console(pane="2", settings=settings) as seen:
        await seen.press("ctrl+p")
        assert seen.session.feed("rules").refreshed == 1
        assert len(seen.app.screen_stack) == 1
        await seen.press("f1")
        assert len(seen.app.screen_stack) == 2


async def test_what_is_wrong_with_the_keymap_is_said_at_the_start_and_in_the_help(console: Opened) -> None:
    fault = "keys.toml:3: app.switch: r already means pane.refresh in a table"
    async with console(settings=fakes.FakeSettings(fakes.PROFILES, key_faults=(fault,)), size=(120, 60)) as seen:
        assert "app.switch: r already means" in seen.screen
        await seen.press("?")
        assert "Not taken from the keymap" in seen.screen
        assert fault in seen.screen
