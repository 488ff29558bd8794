"""The Credentials pane: what this profile holds, and when each of it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.app import App
from textual.binding import Binding
from textual.widgets import Input

from ...domain.credential import Credential
from ...domain.profile import Profile
from ...domain.text import SafeText, clean
from ...domain.units import left_text
from ...services.views.credentials import SOON
from ..commands import Command
from ..ports import SessionPort
from .feed_pane import FeedPane

if TYPE_CHECKING:
    from ..desk_work import DeskWork, Host

ASK_AFTER_S = 1.0
"""Seconds from a profile's opening to the question for the keyring's pass phrase: what is known is painted before."""
REPORTS = {
    "where": ("What works where", "which door takes which credential, and why not"),
    "doctor": ("Doctor", "what is wrong with this machine, its certificates and its clock"),
}
"""Name of a report -> its title, and what it tells."""


class CredentialsPane(FeedPane):
    """What speaks for the operator here."""

    view_id = "credentials"
    nothing = "This profile holds no credential yet."
    summed_up = True

    BINDINGS = [
        Binding("a", "actions", "actions", id="credentials.actions"),
        Binding("m", "report('where')", "what works where", id="credentials.where"),
        Binding("o", "report('doctor')", "doctor", show=False, id="credentials.doctor"),
    ]

    def belong(self, app: App[Any], session: SessionPort) -> None:
        self._belongs_to = (app, session)
        if by_keyring(session.profile):
            app.set_timer(ASK_AFTER_S, self._ask_for_keyring)

    def _ask_for_keyring(self) -> None:
        app, session = self._belongs_to
        if getattr(app, "session", None) is not session:
            return
        if len(app.screen_stack) > 1 or isinstance(app.focused, Input):
            # Whoever types would type into it.
            app.set_timer(ASK_AFTER_S, self._ask_for_keyring)
        else:
            self._desk.ask_for_keyring()

    @property
    def _desk(self) -> DeskWork:
        from ..desk_work import DeskWork

        app, session = self._belongs_to
        return DeskWork(cast("Host", app), session)

    def commands(self) -> list[Command]:
        return [Command(name, title, told, partial(self.action_report, name)) for name, (title, told) in REPORTS.items()]

    def action_actions(self) -> None:
        self._desk.choose(self.table.cursor_row)

    def action_report(self, name: str) -> None:
        self._desk.report(name, REPORTS[name][0])

    def summarise(self, rows: Sequence[Credential], now: datetime) -> list[tuple[SafeText, str]]:
        return first_to_end(rows, now)


def by_keyring(profile: Profile) -> bool:
    """Does the log-in itself need a secret from the keyring: a pass word, or a refresh token for the access token."""
    if profile.auth == "userpass":
        return bool(profile.password_keyring) and profile.password_file is None
    return profile.auth == "oidc" and bool(profile.issuer) and not profile.oidc_agent and profile.token_file is None


def first_to_end(rows: Sequence[Credential], now: datetime) -> list[tuple[SafeText, str]]:
    """What has expired, and what ends next."""
    parts: list[tuple[SafeText, str]] = []
    expired = [row for row in rows if row.expires is not None and row.expires <= now]
    lasting = (row for row in rows if row.expires is not None and row.expires > now and not row.renews)
    ending = sorted(lasting, key=lambda row: (row.expires or now, row.kind))
    if expired:
        parts.append((clean(f"✖ {len(expired)} expired: {', '.join(row.kind for row in expired)}"), "state-stuck"))
    if ending:
        first = ending[0]
        soon = first.expires is not None and first.expires - now < SOON
        parts.append(
            (clean(f"{'▲ ' if soon else ''}{first.kind} ends first, in {left_text(first.expires, now)}"), "warning" if soon else "muted")
        )
    broken = [row for row in rows if row.problem and row not in expired]
    if broken:
        parts.append((clean(f"✖ {len(broken)} with a problem"), "state-stuck"))
    return parts
