"""Another profile: at once, and with nothing carried over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from textual.command import DiscoveryHit

from qostui import config
from qostui.domain.errors import UsageProblem
from qostui.ui.palette import Palette
from qostui.ui.screens.first_run import FirstRun
from qostui.ui.screens.switch import Switch

from . import fakes
from .conftest import Console, Opened


async def test_ctrl_t_shows_where_each_profile_leads(console: Opened) -> None:
    async with console() as seen:
        await seen.press("ctrl+t")
        assert isinstance(seen.app.screen, Switch)
        for text in ("lake-alice", "alice", "token", "rucio.escape.example:443", "certificate", "read-only"):
            assert text in seen.screen
        await seen.press("escape")
        assert len(seen.sessions) == 1


async def test_a_profile_that_was_added_elsewhere_is_in_the_picker(console: Opened) -> None:
    async with console() as seen:
        new = replace(fakes.PROFILES["lake-ops"], name="brand-new", account="newcomer")
        rest = {name: profile for name, profile in fakes.PROFILES.items() if name != "lake-reader"}
        read = threading.Event()

        def reload() -> fakes.FakeSettings:
            read.wait(20)
            return fakes.FakeSettings({**rest, "brand-new": new})

        seen.app._reload = reload
        await seen.press("ctrl+t")
        assert "lake-reader" in seen.screen, "what is known is there at once, however long reading takes"
        assert "brand-new" not in seen.screen
        await seen.press("down")
        read.set()
        await until(seen, lambda: "brand-new" in seen.screen)
        assert "lake-reader" not in seen.screen
        picker = seen.app.screen
        assert isinstance(picker, Switch)
        assert picker.table.cursor_key == "lake-alice", "the cursor stays"
        await seen.press("end", "enter")
        await seen.settle()
        assert seen.session.profile.account == "newcomer"


async def test_a_broken_configuration_is_told_and_the_old_profiles_stay(console: Opened) -> None:
    async with console() as seen:

        def reload() -> fakes.FakeSettings:
            raise UsageProblem("config.toml:3: unknown key 'teme'", step="did you mean theme?")

        seen.app._reload = reload
        before = seen.app.settings
        await seen.press("ctrl+t")
        await until(seen, lambda: "these are the profiles from before" in seen.screen)
        assert "unknown key 'teme'; did you mean theme?" in seen.screen
        assert seen.app.settings is before
        await seen.press("down", "enter")
        await seen.settle()
        assert seen.session.profile.name == "lake-alice"


async def test_a_profile_that_goes_while_it_is_being_chosen_is_told(console: Opened) -> None:
    async with console() as seen:
        read = threading.Event()

        def reload() -> fakes.FakeSettings:
            read.wait(20)
            return fakes.FakeSettings({"lake-ops": fakes.PROFILES["lake-ops"]})

        seen.app._reload = reload
        await seen.press("ctrl+t", "down", "enter")
        assert seen.session.profile.name == "lake-alice", "it was there when it was chosen"
        read.set()
        await until(seen, lambda: list(seen.app.settings.profiles) == ["lake-ops"])
        seen.app._switched("lake-alice")
        await seen.settle()
        assert "lake-alice is gone from the configuration" in seen.screen


async def until(seen: Console, holds: Callable[[], bool]) -> None:
    """Until what a thread brings is on the screen."""
    for _ in range(400):
        await seen.settle()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(seen.screen)


async def test_switching_replaces_everything(console: Opened) -> None:
    async with console(pane="2") as seen:
        await seen.press("down", "space", "enter", "/", *"fair", "enter")
        old_session, old_pane = seen.session, seen.pane
        await seen.press("ctrl+t", "down", "enter")
        await seen.settle()
        assert old_session.closed
        assert len(seen.sessions) == 2
        assert seen.session.profile.name == "lake-alice"
        assert "lake-alice" in seen.screen.splitlines()[0]
        assert "alice at localhost" in seen.screen.splitlines()[0]
        assert seen.pane is not old_pane
        assert seen.pane.view_id == "rules", "the same kind of pane is open"
        assert seen.pane.filter == ""
        assert seen.table.model.marks == set()
        assert not seen.pane.detail_open
        assert seen.table.cursor_key == seen.keys[0]
        assert seen.table.has_focus
        old_session.feed("rules").put(fakes.a_rule("old:late", "STUCK", locks_stuck_cnt=9999))
        await seen.settle()
        assert "old:late" not in seen.screen, "what comes late from the old one is not shown"


async def test_switching_back_and_forth_many_times_keeps_one_session(console: Opened) -> None:
    async with console() as seen:
        for name in ("lake-alice", "lake-reader", "production", "lake-ops"):
            await seen.press(":", *f"profile {name}", "enter")
            await seen.settle()
            assert seen.session.profile.name == name
        assert [session.closed for session in seen.sessions] == [True, True, True, True, False]
        assert len(seen.app.query("FeedPane")) == 1, "the panes of the others are gone"


async def test_a_read_only_profile_says_so(console: Opened) -> None:
    async with console(profile="lake-reader") as seen:
        assert "read-only" in seen.screen.splitlines()[0]


async def test_jump_goes_to_panes_completes_and_quits(console: Opened) -> None:
    async with console() as seen:
        await seen.press(":", *"tra", "tab")
        assert seen.app.jump.input.value == "transfers"
        await seen.press("enter")
        assert seen.pane.view_id == "requests"
        await seen.press(":", *"creds", "enter")
        assert seen.pane.view_id == "credentials", "aliases work too"
        await seen.press(":", *"ru", "enter")
        assert seen.pane.view_id == "rules", "a beginning is enough"
        await seen.press(":", *"nonsense", "enter")
        assert "nothing is called nonsense" in seen.screen
        assert seen.table.has_focus
        await seen.press(":", "escape")
        assert seen.table.has_focus
        await seen.press(":", *"theme light", "enter")
        assert seen.app.theme == "qostui-light"
        await seen.press(":", *"quit", "enter")
        assert seen.app.return_code == 0
        assert seen.session.closed


async def test_words_find_commands_by_their_beginnings_and_letters(console: Opened) -> None:
    async with console() as seen:
        for typed, view_id in (("transf", "requests"), ("rul", "rules"), ("go to cr", "credentials"), ("trnsfrs", "requests")):
            await seen.press(":", *typed, "enter")
            assert seen.pane.view_id == view_id, typed
        await seen.press(":", *"prof prod", "enter")
        await seen.settle()
        assert seen.session.profile.name == "production"
        await seen.press(":", *"theme colour", "enter")
        assert seen.app.theme == "qostui-colour-blind"
        await seen.press(":", *"theme dark", "enter")
        assert seen.app.theme == "qostui"
        await seen.press(":", *"e", "enter")
        assert "nothing is called e" in seen.screen, "what could mean many things means none"


async def test_prompt_and_palette_know_the_same(console: Opened) -> None:
    async with console() as seen:
        said: list[str] = []
        commands = [replace(command, run=partial(said.append, command.words)) for command in seen.app.commands()]
        seen.app.commands = lambda: commands  # type: ignore[method-assign]
        seen.app.jump._commands = seen.app.commands
        assert {"rules", "rses", "transfers", "credentials", "help", "quit", "profile", "profile production", "theme none"} <= {
            command.words for command in commands
        }
        for command in commands:
            for text in (command.words, command.title, *command.also):
                await seen.app.action_jump()
                seen.app.jump.take(text)
                await seen.pilot.pause()
                assert said[-1:] == [command.words], text
        palette = Palette(seen.app.screen)
        shown = [hit async for hit in palette.discover()]
        assert isinstance(shown[0], DiscoveryHit)
        for hit in shown:
            hit.command()
        assert said[-len(commands) :] == [command.words for command in commands]
        for command in commands:
            best = max([hit async for hit in palette.search(command.title)], key=lambda hit: hit.score)
            best.command()
            assert said[-1] == command.words


async def test_up_brings_back_the_last_jumps_while_nothing_is_typed(console: Opened) -> None:
    async with console() as seen:
        for typed in ("rules", "tra", "nonsense", "creds", "rules"):
            await seen.press(":", *typed, "enter")
        line = seen.app.jump.input
        await seen.press(":", "up")
        assert line.value == "rules"
        await seen.press("up")
        assert line.value == "credentials"
        await seen.press("up", "up", "up")
        assert line.value == "transfers", "each once, and what was nonsense is forgotten"
        await seen.press("down", "down", "down")
        assert line.value == ""
        await seen.press("up", "up", "enter")
        assert seen.pane.view_id == "credentials"
        await seen.press(":", *"th", "down")
        assert line.value.startswith("theme"), "with something typed the arrows complete"
        await seen.press("up", "escape")


async def test_the_palette_finds_profiles_and_panes(console: Opened) -> None:
    async with console() as seen:
        await seen.press("ctrl+p")
        await seen.press(*"go to cred")
        await seen.pilot.pause(0.6)
        await seen.press("enter")
        await seen.pilot.pause(0.3)
        await seen.settle()
        assert seen.pane.view_id == "credentials"


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quitting_is_clean(console: Opened, key: str) -> None:
    async with console() as seen:
        await seen.press(key)
        assert seen.app.return_code == 0
        assert seen.session.closed


async def test_first_run_asks_and_writes_the_file(console: Opened, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    proxy = tmp_path / "x509up"
    async with console(profile=None, settings=fakes.FakeSettings({})) as seen:
        assert "make demo" in seen.screen
        page = seen.app.screen
        assert isinstance(page, FirstRun)
        page._file = file
        seen.app._reload = lambda: config.load(file)
        await seen.press("ctrl+s")
        assert "✖" in seen.screen
        assert not file.exists()
        await seen.press(*"escape", "down", *"https://rucio.test:443", "down", "down", *"ops", "down", *"x509_prox", "ctrl+s")
        assert "is not known" in seen.screen
        await seen.press("y", "down", *str(proxy), "ctrl+s")
        await seen.settle()
        await seen.settle()
        profile = config.load(file).profiles["escape"]
        assert (profile.rucio_host, profile.account, profile.auth, profile.proxy) == ("https://rucio.test:443", "ops", "x509_proxy", proxy)
        assert file.stat().st_mode & 0o077 == 0
        assert seen.session.profile.name == "escape"
        assert "escape" in seen.screen.splitlines()[0]


async def test_leaving_the_first_run_page_ends_the_console(console: Opened) -> None:
    async with console(profile=None, settings=fakes.FakeSettings({})) as seen:
        await seen.press("escape")
        assert seen.app.return_code == 0
