"""What is done with credentials: the menu, forms, what is said of them, and that no secret is seen anywhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from qostui.domain.credential import Credential
from qostui.domain.errors import CredentialProblem
from qostui.domain.profile import Profile
from qostui.services.ports_credentials import DeviceCode
from qostui.ui.screens import device_login
from qostui.ui.screens.actions import Actions
from qostui.ui.screens.credential_forms import Form, SecretInput
from qostui.ui.screens.device_login import DeviceLogin, half_blocks
from qostui.ui.widgets.line import Sheet

from . import fakes
from .conftest import Console, Opened

SECRET = "sesame7f3a"
OPERATOR = Profile(
    "lake-ops",
    "https://localhost:21443",
    "ops",
    "x509_proxy",
    certificate=Path("/home/ops/cert.pem"),
    key=Path("/home/ops/key.pem"),
    proxy=Path("/tmp/x509up_u1000"),
    voms="escape:/escape/Role=operator",
    fts="https://localhost:21446",
    issuer="https://op.example/",
)
SETTINGS = fakes.FakeSettings({"lake-ops": OPERATOR, "lake-reader": replace(OPERATOR, name="lake-reader", read_only=True)})
PROXY, AC, TOKEN = ("down",), ("down", "down"), ("down", "down", "down")
"""Keys to the row from the top."""


async def menu(seen: Console, *to_the_row: str) -> None:
    await seen.press(*to_the_row, "a")
    assert isinstance(seen.app.screen, Actions)


async def form(seen: Console) -> Form:
    await seen.until(lambda: isinstance(seen.app.screen, Form))
    assert isinstance(seen.app.screen, Form)
    return seen.app.screen


async def test_the_menu_names_what_this_one_can_and_nothing_happens_yet(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *PROXY)
        for text in ("p  make a proxy", "v  make a VOMS proxy", "f  delegate to FTS", "d  delete the credential", "esc leaves"):
            assert text in seen.screen, text
        assert "log in at" not in seen.screen
        await seen.press("l")
        assert "log in at the OpenID provider: not for this one" in seen.screen
        await seen.press("escape")
        assert len(seen.app.screen_stack) == 1
        assert seen.session.desk.told == []


async def test_where_nothing_can_be_done_it_is_said(console: Opened) -> None:
    alone = fakes.FakeFeed([Credential("5", "Pass word", "ops", "file")])
    async with console(pane="4", feeds={**fakes.feeds(), "credentials": alone}) as seen:
        await seen.press("a")
        await seen.until("Pass word: there is nothing that the console")
        alone.remove("5")
        await seen.settle()
        await seen.press("a")
        await seen.until("no credential is under the cursor")
        assert len(seen.app.screen_stack) == 1


async def test_a_read_only_profile_says_what_is_not_available_and_why(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS, profile="lake-reader") as seen:
        await menu(seen, *PROXY)
        assert seen.screen.count("✖ not available") == 2
        await seen.press("f")
        assert "not in a read-only profile: FTS would keep a proxy of yours" in seen.screen
        assert isinstance(seen.app.screen, Actions)
        await seen.press("p")
        assert (await form(seen)).inputs["hours"].value == "12"


async def test_a_proxy_is_made_after_its_preview_in_a_lane(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *PROXY)
        await seen.press("p")
        asked = await form(seen)
        assert set(asked.inputs) == {"hours"}, "the key needs no pass phrase"
        await seen.press("backspace", "backspace", *"9")
        assert "makes a proxy of /home/ops/cert.pem for 9 h, in /tmp/x509up_u1000" in seen.screen
        assert seen.session.desk.told == []
        await seen.press("enter")
        await seen.until("✔ proxy until 21:04Z in /run/proxy")
        assert len(seen.app.screen_stack) == 1
        assert seen.session.desk.told == [("proxy", (9.0,))]
        assert seen.session.feed("credentials").refreshed == 1
        assert threading.main_thread().name not in seen.session.desk.threads


async def test_a_wrong_pass_phrase_asks_again_and_keeps_the_rest(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        seen.session.desk.encrypted = True
        await menu(seen, *PROXY)
        await seen.press("p")
        asked = await form(seen)
        await seen.press("backspace", "backspace", *"36", "enter", *"wrong one", "enter")
        await seen.until("✖ the pass phrase does not open the key")
        assert "try again" in seen.screen
        assert asked.inputs["hours"].value == "36"
        assert asked.inputs["pass_phrase"].value == ""
        assert asked.inputs["pass_phrase"].has_focus
        await seen.press(*SECRET, "enter")
        await seen.until("✔ proxy until")
        assert len(seen.app.screen_stack) == 1


async def test_what_cannot_be_meant_is_said_before_anything_is_done(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *PROXY)
        await seen.press("p")
        await form(seen)
        await seen.press("backspace", "backspace", *"x", "enter")
        assert "✖ x: not a number of hours" in seen.screen
        assert seen.session.desk.told == []
        await seen.press("escape")
        assert len(seen.app.screen_stack) == 1


async def test_dropping_asks_for_the_word(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *PROXY)
        await seen.press("d")
        asked = await form(seen)
        await seen.press(*"dro", "enter")
        assert "type drop to say that you mean it" in seen.screen
        assert seen.session.desk.told == []
        await seen.press("p")
        assert asked.query(Sheet).first().plain.endswith("where the console keeps it, and ends the Rucio session made with it")
        await seen.press("enter")
        await seen.until("✔ proxy deleted, session ended")
        assert seen.session.desk.told == [("drop", ("2",))]


@pytest.mark.parametrize(
    ("row", "letter", "typed", "told"),
    [
        (TOKEN, "r", (), ("refresh", ())),
        (TOKEN, "n", ("ctrl+u", *"storage.read:/a", "enter", *"https://b"), ("narrow", ("storage.read:/a", "https://b"))),
        (PROXY, "f", (), ("delegate", ())),
        (PROXY, "m", (*"davs://h:1/d", "enter", "enter"), ("macaroon", ("https://h:1/d", ("DOWNLOAD", "LIST"), 60))),
        (PROXY, "i", (*"/some/proxy",), ("import", (Path("/some/proxy"),))),
        (PROXY, "e", (*"/new/file",), ("export", ("2", Path("/new/file")))),
    ],
)
async def test_each_action_reaches_the_desk(
    console: Opened, row: tuple[str, ...], letter: str, typed: tuple[str, ...], told: tuple[str, tuple[object, ...]]
) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *row)
        await seen.press(letter)
        await form(seen)
        await seen.press(*typed, "enter")
        await seen.until(lambda: len(seen.app.screen_stack) == 1)
        assert seen.session.desk.told == [told]
        assert seen.session.feed("credentials").refreshed == 1


async def test_one_that_takes_long_can_be_left_and_tells_its_end(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        seen.session.desk.gate = threading.Event()
        await menu(seen, *PROXY)
        await seen.press("f")
        await form(seen)
        await seen.press("enter")
        await seen.until("… delegate to FTS; esc leaves it, and it goes on")
        await seen.press("enter")
        await seen.press("escape", "2")
        assert seen.pane.view_id == "rules"
        assert "delegate to FTS: it goes on" in seen.screen
        seen.session.desk.gate.set()
        await seen.until("✔ FTS holds your proxy until 2026-11-22 18:04:31Z")
        assert [name for name, _ in seen.session.desk.told] == ["delegate"], "pressed twice, done once"


async def test_the_end_of_one_that_was_left_for_another_profile_is_not_told(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        gate = seen.session.desk.gate = threading.Event()
        seen.session.desk.problem = CredentialProblem("FTS refuses the proxy")
        first = seen.session
        await menu(seen, *PROXY)
        await seen.press("f")
        await form(seen)
        await seen.press("enter")
        await seen.until(lambda: bool(first.desk.told))
        await seen.press("escape", ":", *"profile lake-reader", "enter")
        await seen.settle()
        gate.set()
        await seen.until(lambda: first.lanes.closed and first.desk.problem is None)
        await seen.settle()
        assert "FTS refuses" not in seen.screen


async def test_the_keyring_is_asked_for_once_a_run(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        desk = seen.session.desk
        desk.keyring = "~/.local/share/qostui/keyring"
        await menu(seen, *TOKEN)
        await seen.press("r")
        await seen.until("opens ~/.local/share/qostui/keyring for this run")
        await seen.press("enter")
        assert "no pass phrase was typed" in seen.screen
        await seen.press(*"wrong", "enter")
        await seen.until("✖ the pass phrase does not open the keyring file")
        assert desk.told == []
        await seen.press(*SECRET, "enter")
        await seen.until("asks op.example:443 for a new access token")
        await seen.press("enter")
        await seen.until("✔ new token until 13:00Z")
        await menu(seen)
        await seen.press("r")
        await seen.until("for a new access token")
        assert desk.opened


async def test_a_log_in_that_needs_the_keyring_asks_for_it_by_itself(console: Opened) -> None:
    settings = fakes.FakeSettings({"lake-ops": replace(OPERATOR, auth="oidc")})
    async with console(pane="2", settings=settings) as seen:
        seen.session.desk.keyring = "~/keyring"
        await seen.until("opens ~/keyring for this run")
        await seen.press(*SECRET, "enter")
        await seen.until(lambda: seen.session.feed("rules").refreshed == 1)
        assert seen.session.feed("credentials").refreshed == 1
        assert len(seen.app.screen_stack) == 1
        assert seen.session.desk.opened


@contextlib.contextmanager
def lent() -> Iterator[None]:
    yield


async def test_voms_runs_on_the_terminal_and_its_end_is_looked_at(console: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        monkeypatch.setattr(seen.app, "suspend", lent)
        await menu(seen, *AC)
        await seen.press("v")
        await form(seen)
        assert "leaves this screen for voms-proxy-init (escape:/escape/Role=operator)" in seen.screen
        await seen.press("enter")
        await seen.until("✔ VOMS proxy of escape until 23:00Z")
        assert seen.session.ran == [(("voms-proxy-init", "--voms", "escape"), {"PATH": "/usr/bin:/bin"})]
        assert seen.session.desk.told == [("voms", ()), ("check", (0,))]
        seen.session.exit_status = 3
        await menu(seen)
        await seen.press("v")
        await form(seen)
        await seen.press("enter")
        await seen.until("✖ voms-proxy-init ended with 3")


async def test_voms_where_the_terminal_cannot_be_lent(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *AC)
        await seen.press("v")
        await form(seen)
        await seen.press("enter")
        await seen.until("this terminal cannot be lent to another program")
        assert "run it yourself: voms-proxy-init --voms escape" in seen.screen
        assert seen.session.ran == []


CODE = DeviceCode(
    "https://op.example/device", "WDJB-MJHT", "https://op.example/device?user_code=WDJB-MJHT", fakes.NOW + timedelta(minutes=10)
)


async def test_a_device_log_in_shows_where_to_go_and_ends_by_itself(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS, size=(120, 44)) as seen:
        desk = seen.session.desk
        desk.gate, desk.code = threading.Event(), CODE
        await menu(seen, *TOKEN)
        await seen.press("l")
        await seen.until("WDJB-MJHT")
        assert "https://op.example/device" in seen.screen
        assert "10 m" in seen.screen
        seen.clock.moment += timedelta(minutes=3)
        screen = seen.app.screen
        assert isinstance(screen, DeviceLogin)
        screen._show()
        await seen.until("7 m")
        await seen.press("c")
        assert seen.app.clipboard == "https://op.example/device?user_code=WDJB-MJHT"
        desk.gate.set()
        await seen.until("✔ logged in as alice")
        assert len(seen.app.screen_stack) == 1
        assert seen.session.feed("credentials").refreshed == 1


async def test_a_device_log_in_that_is_given_up_is_cancelled(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        desk = seen.session.desk
        desk.gate = threading.Event()
        await menu(seen, *TOKEN)
        await seen.press("l")
        await seen.until("WDJB-MJHT")
        await seen.press("escape")
        assert "the log-in was given up; nothing was kept" in seen.screen
        await seen.until(lambda: ("cancelled", ()) in desk.told)
        assert ("log-in", ()) not in desk.told


async def test_a_log_in_that_is_refused_says_why(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        seen.session.desk.problem = CredentialProblem("the provider does not know this client", step="mend client_id")
        await menu(seen, *TOKEN)
        await seen.press("l")
        await seen.until("✖ the provider does not know this client: mend client_id")
        assert len(seen.app.screen_stack) == 1


@dataclass
class Modules:
    """A code of three by three modules with a border, as segno gives them."""

    text: str

    def matrix_iter(self, scale: int, border: int) -> Iterator[list[bool]]:
        blank = [False] * (3 + 2 * border)
        edge = [False] * border
        yield from (blank for _ in range(border))
        for row in ((True, True, False), (False, True, True), (True, False, True)):
            yield [*edge, *row, *edge]
        yield from (blank for _ in range(border))


class Segno:
    """A library that draws codes."""

    @staticmethod
    def make_qr(text: str, error: str) -> Modules:
        if len(text) > 100:
            raise ValueError("data too large")
        return Modules(text)


def test_a_qr_code_is_half_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_login, "import_module", lambda name: Segno if name == "segno" else None)
    assert half_blocks("https://op.example") == ["       ", "  ▀█▄  ", "  ▀ ▀  ", "       "]
    assert half_blocks("x" * 101) == []


def test_without_the_library_there_is_no_qr_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(device_login, "import_module", missing)
    assert half_blocks("https://op.example") == []


async def test_the_code_is_drawn_where_there_is_room_for_it(console: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_login, "import_module", lambda name: Segno)
    async with console(pane="4", settings=SETTINGS, size=(120, 40)) as seen:
        seen.session.desk.gate, seen.session.desk.code = threading.Event(), CODE
        await menu(seen, *TOKEN)
        await seen.press("l")
        await seen.until("▀█▄")
        await seen.pilot.resize_terminal(40, 20)
        await seen.until(lambda: "▀█▄" not in seen.screen)
        assert "WDJB-MJHT" in seen.screen
        assert "there is a QR code here" in " ".join(seen.screen.replace("│", " ").split())
        seen.session.desk.gate.set()


async def test_no_secret_is_seen_in_screens_messages_or_clipboard(console: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []

    def heard(self: Input, message: Message) -> bool:
        messages.append(repr(message))
        return Widget.post_message(self, message)

    monkeypatch.setattr(Input, "post_message", heard)
    async with console(pane="4", settings=SETTINGS) as seen:
        desk = seen.session.desk
        desk.encrypted = True
        desk.problem = CredentialProblem("the key cannot be read")
        await menu(seen, *PROXY)
        await seen.press("p")
        asked = await form(seen)
        box = asked.inputs["pass_phrase"]
        assert isinstance(box, SecretInput)
        await seen.press("backspace", "backspace", *"77", "enter", *SECRET)
        assert box.value == SECRET
        shown = [seen.screen, seen.app.export_screenshot(), repr(asked), repr(box), repr(asked.given), *map(repr, asked.walk_children())]
        await seen.press("ctrl+shift+a", "ctrl+c", "ctrl+x")
        assert seen.app.return_code is None, "ctrl+c where a secret is typed does not quit"
        assert box.value == SECRET
        await seen.press("end", "enter")
        await seen.until("✖ the key cannot be read")
        assert box.value == ""
        shown += [seen.screen, seen.app.export_screenshot(), seen.app.clipboard, *messages, repr(desk.told)]
        assert any("77" in text for text in messages), "what is no secret is told"
        assert not [text for text in shown if SECRET in text]


async def test_a_plain_field_is_no_secret(console: Opened) -> None:
    async with console(pane="4", settings=SETTINGS) as seen:
        await menu(seen, *PROXY)
        await seen.press("i")
        asked = await form(seen)
        assert type(asked.inputs["path"]) is Input
