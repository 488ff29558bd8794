"""Text from servers is shown harmless: no escape bytes, no bidi, no markup, whatever field it sits in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from qostui.domain.errors import ServerProblem
from qostui.domain.profile import Profile
from qostui.domain.rule import Rule
from qostui.domain.table import View
from qostui.domain.text import SafeText
from qostui.ui.panes.rules import RulesPane

from . import fakes
from .conftest import Console, Opened

ESCAPES = "\x1b]52;c;UFdORUQ=\x1b\\ \x1b[2J \x9b31m \x07\r\n\t \u202egnp.exe \u200b \ud800 \u2028"
MARKUP = "[@click=app.end(0)]x[/] [/nope] [bold] [$primary] [#zz] [/]"


def bytes_of(seen: Console) -> str:
    return "".join(segment.text for strip in seen.app.screen._compositor.render_strips() for segment in strip)


def assert_harmless(seen: Console) -> None:
    assert all(character.isprintable() for character in bytes_of(seen))


@pytest.mark.parametrize("text", [ESCAPES, MARKUP])
async def test_in_every_field_of_every_row(console: Opened, text: str) -> None:
    async with console(size=(200, 60)) as seen:
        rule = fakes.a_rule(
            f"x:{text}", "STUCK", locks_stuck_cnt=999, error=text, comments=text, rse_expression=text, account=text, activity=text
        )
        request = replace(fakes.some_requests()[0], name=text, err_msg=text, source_rse=text, dest_rse=text, fts=None, activity=text)
        rse = replace(fakes.some_rses()[0], name=text, qos=text, attributes=((text, text),), incomplete=text)
        credential = replace(fakes.some_credentials()[1], who=text, source=text, note=text, scopes=(text,))
        for key, view_id, row in (("1", "rses", rse), ("2", "rules", rule), ("3", "requests", request), ("4", "credentials", credential)):
            seen.session.feed(view_id).put(row)
            await seen.press(key)
            seen.table.select(row.key)
            await seen.press("enter")
            await seen.settle()
            assert_harmless(seen)
            assert text[:8] in bytes_of(seen) if text is MARKUP else "\\x1b" in bytes_of(seen)
            await seen.press("c")
            assert_harmless(seen)
            assert "\x1b" not in seen.app.clipboard
            await seen.press("escape", "s", "escape")
        assert seen.app.is_running


@pytest.mark.parametrize("text", [ESCAPES, MARKUP])
async def test_in_errors(console: Opened, text: str) -> None:
    async with console(pane="2") as seen:
        seen.session.feed("rules").fail(ServerProblem(text, detail=text, step=text), fakes.NOW)
        seen.session.problem = ServerProblem(text)
        await seen.settle()
        assert_harmless(seen)
        await seen.press("e")
        assert_harmless(seen)
        await seen.press("escape")
        seen.app.say(text, "error")
        await seen.settle()
        assert_harmless(seen)


@pytest.mark.parametrize("text", [ESCAPES, MARKUP])
async def test_in_profiles_and_typed_text(console: Opened, text: str) -> None:
    profile = Profile(text, "https://localhost:1", text, "x509", color=text)
    settings = fakes.FakeSettings({text: profile, **fakes.PROFILES}, theme=text)
    async with console(profile=text, settings=settings) as seen:
        assert_harmless(seen)
        await seen.press("ctrl+t")
        assert_harmless(seen)
        await seen.press("escape", "ctrl+p")
        await seen.settle()
        assert_harmless(seen)
        await seen.press("escape", ":")
        assert_harmless(seen)


async def test_the_table_is_a_second_wall(console: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that forgets to clean its text does no harm either."""

    def careless(cls: type[RulesPane], view: View[Rule]) -> View[Rule]:
        return replace(view, columns=(replace(view.columns[0], text=careless_text), *view.columns[1:]))

    monkeypatch.setattr(RulesPane, "dressed", classmethod(careless))
    async with console(pane="2") as seen:
        assert_harmless(seen)
        assert "\\x1b[2J" in bytes_of(seen)
        assert "\x1b" not in seen.table.plain("ska:sdc1")
        assert "\x1b" not in seen.table.separated()


def careless_text(row: object, now: datetime) -> SafeText:
    return SafeText("\x1b[2J\u202e!")
