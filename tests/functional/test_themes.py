"""Colour themes: all complete, a broken one is a message, and no colours means no colour codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from qostui.domain import states
from qostui.ui import themes
from qostui.ui.console import QostuiApp

from . import fakes
from .conftest import Opened

SHIPPED = themes.load([themes.shipped()])


def test_five_themes_are_shipped_and_all_can_be_read() -> None:
    assert SHIPPED.failed == ()
    assert {theme.name for theme in SHIPPED.themes} == {
        "qostui",
        "qostui-light",
        "qostui-contrast",
        "qostui-colour-blind",
        "qostui-sixteen",
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


@pytest.mark.parametrize("theme", ["light", "contrast", "colour-blind", "sixteen", "dark"])
async def test_every_theme_paints_all_panes(console: Opened, theme: str) -> None:
    async with console(settings=fakes.FakeSettings(fakes.PROFILES, theme=theme)) as seen:
        for key in "1234":
            await seen.press(key)
        assert "Access token" in seen.screen


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "linux"}, {"TERM": "xterm-16color"}])
async def test_few_colours_choose_the_sixteen_of_the_terminal(console: Opened, environ: dict[str, str]) -> None:
    async with console(environ=environ) as seen:
        assert seen.app.theme == "qostui-sixteen"
