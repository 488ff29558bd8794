"""Colour themes: all complete, a broken one is a message, and no colours means no colour codes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from rich.color import Color as RichColor
from textual.color import Color

from qostui.domain import states
from qostui.ui import dress, terminal, themes
from qostui.ui.console import QostuiApp
from qostui.ui.ink import inks

from . import fakes
from .conftest import Console, Opened

SHIPPED = themes.load([themes.shipped()])


def test_six_themes_are_shipped_and_all_can_be_read() -> None:
    assert SHIPPED.failed == ()
    assert {theme.name for theme in SHIPPED.themes} == {
        "qostui",
        "qostui-light",
        "qostui-contrast",
        "qostui-colour-blind",
        "qostui-sixteen",
        "qostui-none",
    }


def test_every_state_has_a_colour_a_glyph_and_a_word() -> None:
    tables = (states.RULE, states.LOCK, states.REQUEST, states.REPLICA, states.FTS)
    for kind in (kind for table in tables for kind in table.values()):
        assert kind.glyph.strip()
        assert kind.label
        assert kind.style in themes.VARIABLES


def luminance(color: Color) -> float:
    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b)


@pytest.mark.parametrize("theme", [theme for theme in SHIPPED.themes if not theme.ansi], ids=lambda theme: theme.name)
def test_text_can_be_read_on_its_ground(theme: object) -> None:
    from textual.theme import Theme

    assert isinstance(theme, Theme)
    variables = {**themes.VARIABLES, **theme.variables}
    inks = {
        name: value for name, value in variables.items() if name.startswith(("state-", "fts-", "type-")) or name in ("muted", "heading")
    }
    inks |= {
        "error": theme.error or "",
        "warning": theme.warning or "",
        "foreground": theme.foreground or "",
        "success": theme.success or "",
    }
    for ground in (theme.background or "", theme.panel or "", variables["cursor"]):
        least = 3.0 if ground == variables["cursor"] else 4.0
        for name, value in inks.items():
            light, dark = sorted((luminance(Color.parse(value)), luminance(Color.parse(ground))), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, f"{name} {value} on {ground}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\nprimary = "#zzz"', "#zzz"),
        ("primary = ", "not TOML"),
        ('primary = "#112233"\nprimry = "#112233"', "primry"),
        ('primary = "#112233"\n[variables]\nstate-ok = "nonsense"', "state-ok"),
        ('primary = "#112233"\n[variables]\nx-style = "blinking"', "x-style"),
        ("", "primary"),
        ("primary = 5", "primary"),
        ("variables = 5", "variables"),
        ('primary = "#112233"\ndark = "yes"', "dark"),
    ],
)
def test_a_broken_theme_is_named_with_its_fault(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    loaded = themes.load([tmp_path])
    assert loaded.themes == ()
    assert said in loaded.failed[0][1]


async def test_a_broken_theme_is_a_message_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\nprimary = "#zzz"')
    (tmp_path / "good.toml").write_text('name = "good"\nprimary = "#112233"')
    settings = fakes.FakeSettings(fakes.PROFILES, theme="mine", state_dir=tmp_path)
    session = fakes.FakeSession(fakes.PROFILES["lake-ops"], fakes.feeds())
    app = QostuiApp(settings, "lake-ops", lambda _: session, now=lambda: fakes.NOW, theme_directories=(tmp_path,), environ={})
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.3)
        assert app.theme == "qostui"
        assert "good" in app.available_themes
        text = "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())
        assert "mine.toml" in text
        assert "no theme is called mine" in text


MINE = 'name = "mine"\nprimary = "#112233"\n[variables]\nstate-ok = "%s"\n'


@pytest.mark.parametrize("kind", ["unreadable", "group", "world", "huge", "pipe", "directory", "dangling"])
def test_files_that_are_not_to_be_trusted_are_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE % "#123456")
    says = {
        "group": "others can write",
        "world": "others can write",
        "huge": "larger than",
        "pipe": "not a file",
        "directory": "not a file",
    }
    if kind in ("group", "world"):
        path.chmod(0o664 if kind == "group" else 0o646)
    elif kind == "huge":
        path.write_text(MINE % "#123456" + "#" * themes.LARGEST)
    else:
        path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind in ("dangling", "unreadable"):
        path.symlink_to(path if kind == "unreadable" else tmp_path / "nowhere")
        says |= {"dangling": "No such file", "unreadable": "symbolic links"}
    loaded = themes.load([tmp_path])
    assert loaded.themes == ()
    assert says[kind].lower() in loaded.failed[0][1].lower()
    assert len(loaded.failed) == 1


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.toml").write_text(MINE % "#123456")
    (tmp_path / "right.txt").write_text(MINE % "#123456")
    (tmp_path / "link.toml").symlink_to(tmp_path / "right.txt")
    if os.geteuid() == 0:
        for name in ("file.toml", "link.toml"):
            os.chown(tmp_path / name, 12345, 12345, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert dict(themes.load([tmp_path]).failed) == {
        tmp_path / "file.toml": "belongs to somebody else",
        tmp_path / "link.toml": "a link that somebody else made",
    }


def test_a_link_of_ones_own_is_fine(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(MINE % "#123456")
    (tmp_path / "mine.toml").symlink_to(tmp_path / "elsewhere")
    assert [theme.name for theme in themes.load([tmp_path]).themes] == ["mine"]


def state_ok(seen: Console) -> str:
    return seen.app.theme_variables["state-ok"]


async def test_themes_that_change_are_worn_at_once_and_broken_ones_keep_their_colours(console: Opened, tmp_path: Path) -> None:
    directory = tmp_path / "themes"
    directory.mkdir()
    mine = directory / "mine.toml"
    mine.write_text(MINE % "#101010")
    mine.chmod(0o644)

    def look() -> None:
        seen.app.reload_themes(themes.load([themes.shipped(), directory]))

    async with console(settings=fakes.FakeSettings(fakes.PROFILES, theme="mine"), themes=(directory,), pane="2") as seen:
        assert (seen.app.theme, state_ok(seen)) == ("mine", "#101010")
        mine.write_text(MINE % "#202020")
        look()
        await seen.settle()
        assert (seen.app.theme, state_ok(seen)) == ("mine", "#202020")
        assert inks(seen.app)["state-ok"].color == RichColor.from_rgb(0x20, 0x20, 0x20)
        mine.write_text(MINE % "#zzz")
        for _ in range(2):
            look()
            await seen.settle()
        assert (seen.app.theme, state_ok(seen)) == ("mine", "#202020")
        assert seen.screen.count("theme mine.toml: state-ok: '#zzz' is not a colour") == 1, "said once"
        (directory / "new.toml").write_text(MINE.replace("mine", "new") % "#303030")
        (directory / "new.toml").chmod(0o644)
        look()
        await seen.settle()
        assert "theme new is there" in seen.screen
        assert "theme new" in [command.words for command in seen.app.commands()]
        mine.unlink()
        look()
        await seen.settle()
        assert "theme mine" not in [command.words for command in seen.app.commands()]
        assert state_ok(seen) == "#202020", "what is worn stays"
        await seen.press(":", *"theme new", "enter")
        assert state_ok(seen) == "#303030"


async def test_changed_files_are_noticed_by_themselves(console: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dress, "LOOK_EVERY", 0.02)
    loads: list[int] = []
    monkeypatch.setattr(themes, "load", lambda directories, load=themes.load: (loads.append(1), load(directories))[1])
    directory = tmp_path / "themes"
    async with console(themes=(directory,)) as seen:
        await seen.pilot.pause(0.2)
        assert len(loads) == 1, "nothing is read while nothing changes"
        directory.mkdir()
        (directory / "late.toml").write_text(MINE.replace("mine", "late") % "#303030")
        (directory / "late.toml").chmod(0o644)
        for _ in range(500):
            await seen.pilot.pause(0.02)
            if "late" in seen.app.available_themes:
                break
        assert "late" in seen.app.available_themes
        assert any(thread.name == "qostui-themes" for thread in threading.enumerate())
    for _ in range(500):
        if not any(thread.name == "qostui-themes" for thread in threading.enumerate()):
            break
        time.sleep(0.01)
    assert not any(thread.name == "qostui-themes" for thread in threading.enumerate()), "it ends with the console"


@pytest.mark.parametrize("theme", ["light", "contrast", "colour-blind", "sixteen", "none", "dark"])
async def test_every_theme_paints_all_panes(console: Opened, theme: str) -> None:
    async with console(settings=fakes.FakeSettings(fakes.PROFILES, theme=theme)) as seen:
        for key in "1234":
            await seen.press(key)
        assert "Access token" in seen.screen


async def test_no_color_chooses_the_theme_without_any(console: Opened) -> None:
    async with console(environ={"NO_COLOR": "1"}, settings=fakes.FakeSettings(fakes.PROFILES, theme="light")) as seen:
        assert seen.app.theme == "qostui-none"


async def test_a_theme_for_slow_lines_is_worn_only_there(console: Opened) -> None:
    settings = fakes.FakeSettings(fakes.PROFILES, theme="light", theme_over_ssh="sixteen")
    async with console(settings=settings) as seen:
        assert seen.app.theme == "qostui-light"
    async with console(settings=settings, line=terminal.SLOW) as seen:
        assert seen.app.theme == "qostui-sixteen"
        assert "12:04Z" in seen.screen.splitlines()[0]


@pytest.mark.parametrize("environ", [{"TERM": "linux"}, {"TERM": "xterm-16color"}])
async def test_few_colours_choose_the_sixteen_of_the_terminal(console: Opened, environ: dict[str, str]) -> None:
    async with console(environ=environ) as seen:
        assert seen.app.theme == "qostui-sixteen"
