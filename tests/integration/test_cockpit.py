"""The Credentials pane as a cockpit, on the real lake: what works where, the doctor, and a proxy that is made from a form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from keyrings.cryptfile.cryptfile import CryptFileKeyring
from textual.pilot import Pilot

from qostui.adapters import backend, keyring_
from qostui.config import Settings
from qostui.domain.credential import Credential
from qostui.domain.profile import Profile
from qostui.lake.inside import topology
from qostui.lake.inside.state import issuer, url
from qostui.services import session
from qostui.ui.console import QostuiApp
from qostui.ui.screens.credential_forms import Form
from qostui.ui.screens.device_login import DeviceLogin
from qostui.ui.screens.report import Report
from tests import lakes
from tests.integration.approval import approve

PROXY_ROW = "2 proxy"


@pytest.fixture(autouse=True)
def keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No keyring is open before or after."""
    monkeypatch.setattr(CryptFileKeyring, "time_cost", 1)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    keyring_.close()
    yield
    keyring_.close()


@pytest.fixture
def settings(lake: lakes.Lake, tmp_path: Path) -> Settings:
    """One profile with alice's certificate and key and the place where her proxy is to be, one with her proxy and one with her token."""
    state = lake.state
    rucio = url(lake.facts, "rucio")
    certified = Profile(
        "certified", rucio, "ops", "x509", ca=state.ca, ca_path=state.certificates, certificate=state.user_cert("alice"),
        key=state.user_key("alice"), proxy=tmp_path / "new-proxy",
    )  # fmt: skip
    known = Profile("known", rucio, "ops", "x509_proxy", ca=state.ca, ca_path=state.certificates, proxy=state.proxy("alice"))
    token = replace(known, name="token", account="alice", auth="oidc", token_file=state.token_file("alice"))
    by_code = Profile(
        "by-code", rucio, "alice", "oidc", ca=state.ca, ca_path=state.certificates, issuer=issuer(lake.facts), client_id="qostui",
        scope="openid profile offline_access wlcg storage.read:/", audience=topology.RUCIO_AUDIENCE,
    )  # fmt: skip
    profiles = {each.name: each for each in (certified, known, token, by_code)}
    return Settings(profiles=profiles, state_dir=tmp_path / "state", runtime_dir=tmp_path / "run")


@dataclass
class Seen:
    """The console and its keys."""

    app: QostuiApp
    pilot: Pilot[int]

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Let the console live until this holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited {seconds:.0f} s for {what}")

    @property
    def rows(self) -> dict[str, Credential]:
        """The credentials in the pane, by id."""
        assert self.app.pane is not None
        return dict(self.app.pane.table.model.rows)

    @property
    def said(self) -> list[str]:
        """The toasts."""
        return [each.message for each in self.app._notifications]


@asynccontextmanager
async def cockpit(settings: Settings, profile: str) -> AsyncIterator[Seen]:
    session.wire(backend.connect, backend.lacking)
    app = QostuiApp(settings, profile, lambda chosen: session.open_session(chosen, settings))
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        app.show_pane("credentials")
        seen = Seen(app, pilot)
        await seen.until(lambda: app.pane and app.pane.view_id == "credentials" and "1 session" in seen.rows, "the session")
        yield seen
        if app.session is not None:
            app.session.close()


async def test_what_works_where_is_proved_and_the_pane_knows_it_then(settings: Settings) -> None:
    async with cockpit(settings, "known") as seen:
        await seen.pilot.press("m")
        report = seen.app.screen
        assert isinstance(report, Report)
        rows = report.table.model.rows
        await seen.until(lambda: len(rows) >= 10, "the matrix")
        await seen.until(lambda: sum(row.live is not None for row in rows.values()) >= 6, "the first doors", 90)
        await seen.pilot.press("escape", "r")
        await seen.until(lambda: [proof for proof in seen.rows[PROXY_ROW].proofs if proof.accepted], "the proofs in the pane")
        assert "door" in seen.app.pane.table.plain(PROXY_ROW)  # type: ignore[union-attr]


async def test_the_doctor_reports_in_the_console(settings: Settings) -> None:
    async with cockpit(settings, "token") as seen:
        await seen.until(lambda: seen.rows["4 token"].usable_at == ("whoami",), "the proof of the token")
        await seen.pilot.press("o")
        report = seen.app.screen
        assert isinstance(report, Report)
        await seen.until(lambda: "all asked" in report._state.plain, "the end of the doctor", 120)
        assert len(report.table.model.rows) >= 10


async def test_a_proxy_is_made_from_the_form_and_is_in_the_pane(settings: Settings) -> None:
    async with cockpit(settings, "certified") as seen:
        place = settings.profiles["certified"].proxy
        assert place is not None
        assert not place.exists()
        table = seen.app.pane.table  # type: ignore[union-attr]
        table.select("3 certificate")
        await seen.pilot.press("a", "p")
        await seen.until(lambda: isinstance(seen.app.screen, Form), "the form")
        await seen.pilot.press("enter")
        await seen.until(lambda: place.exists(), "the proxy")
        await seen.until(lambda: seen.rows[PROXY_ROW].problem == "" and seen.rows[PROXY_ROW].expires, "its row")
        assert any(text.startswith("✔ proxy of ") for text in seen.said), seen.said
        assert place.stat().st_mode & 0o077 == 0
        table.select(PROXY_ROW)
        await seen.pilot.press("a", "d")
        await seen.until(lambda: isinstance(seen.app.screen, Form), "the form")
        await seen.pilot.press(*"drop", "enter")
        await seen.until(lambda: not place.exists(), "the end of the proxy")


async def test_a_log_in_by_a_code_from_the_question_for_the_keyring_to_the_proof(settings: Settings, lake: lakes.Lake) -> None:
    async with cockpit(settings, "by-code") as seen:
        await seen.until(lambda: isinstance(seen.app.screen, Form), "the question for the keyring, which comes by itself")
        await seen.pilot.press(*"correct horse", "enter")
        await seen.until(lambda: len(seen.app.screen_stack) == 1, "the open keyring")
        seen.app.pane.table.select("4 token")  # type: ignore[union-attr]
        await seen.pilot.press("a", "l")
        await seen.until(lambda: isinstance(seen.app.screen, DeviceLogin) and seen.app.screen._code, "the code")
        screen = seen.app.screen
        assert isinstance(screen, DeviceLogin)
        assert screen._code is not None
        password = (lake.state.client / "alice.idp-password").read_text().strip()
        end = await asyncio.to_thread(approve, screen._code.whole_address, ca=lake.state.ca, login="alice", password=password)
        assert "Access is allowed" in end
        await seen.until(lambda: len(seen.app.screen_stack) == 1, "the end of the log-in")
        assert any(text.startswith("✔ logged in as alice") for text in seen.said), seen.said
        row = await seen.until(lambda: seen.rows["4 token"].usable_at and seen.rows["4 token"], "the proof of the new token")
        assert row.renews
        assert row.usable_at == ("whoami",)
