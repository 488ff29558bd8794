"""The header: where the console is, as whom, how that is shown, what runs out next, and what time it is there."""

from __future__ import annotations

from datetime import datetime, timedelta

from textual.color import Color, ColorParseError

from ...domain.profile import Identity
from ...domain.units import left_text
from ..ink import Piece, cells
from .line import Line

METHODS = {"userpass": "pass word", "x509": "certificate", "x509_proxy": "proxy", "oidc": "token"}
SOON = timedelta(hours=1)


class Header(Line):
    """One line; what matters least goes first when the terminal is narrow."""

    DEFAULT_CSS = "Header { background: $panel; }"

    def __init__(self, *, seconds: bool = True) -> None:
        super().__init__()
        self._clock = "%H:%M:%S" if seconds else "%H:%M"

    def show_identity(self, identity: Identity | None, now: datetime) -> None:
        """Say who we are at the moment `now`."""
        width = self.size.width or self.app.size.width
        clock: list[Piece] = [(f" {now.strftime(self._clock)}Z ", "")]
        if identity is None:
            self.show([(" qostui ", "bold primary"), (" no profile ", "warning bold")], clock)
            return
        for level in range(5):
            left, right = self._left(identity, level), [*_expiry(identity, now, level), *_rights(identity), *clock]
            if cells(left) + cells(right) + 1 <= width:
                break
        self.show(left, right)

    def _left(self, identity: Identity, level: int) -> list[Piece]:
        pieces: list[Piece] = [(" qostui ", "bold primary")] if level < 3 else []
        pieces += [(f" {identity.profile} ", _badge(identity.color, self.app.current_theme.dark))]
        pieces += [(" ", ""), (identity.account, "bold"), (" at ", "muted")]
        pieces.append((identity.host if level < 4 else identity.host.partition(":")[0], ""))
        method = METHODS.get(identity.method, identity.method)
        pieces += [(" · ", "muted"), (method, "")]
        if identity.subject and level < 1:
            pieces += [(" ", ""), (identity.subject, "muted")]
        return pieces


def _badge(color: str, dark: bool) -> str:
    try:
        ground = Color.parse(color) if color else None
    except ColorParseError:
        ground = None
    if ground is None:
        return "bold reverse primary"
    return f"bold {'#000000' if ground.brightness > 0.55 else '#ffffff'} on:{color}"


def _expiry(identity: Identity, now: datetime, level: int) -> list[Piece]:
    if identity.problem is not None:
        room = 48 if level < 2 else 24
        summary = identity.problem.summary
        return [(f"✖ {summary if len(summary) <= room else summary[: room - 1] + '…'}  ", "error bold")]
    if identity.next_expiry is None:
        return []
    label, moment = identity.next_expiry
    left = left_text(moment, now)
    if moment <= now:
        return [(f"✖ {label} {left}  ", "error bold")]
    if moment - now < SOON:
        return [(f"▲ {label} {left} left  ", "warning bold")]
    return [(f"{label} {left} left  " if level < 2 else f"{left} left ", "muted")]


def _rights(identity: Identity) -> list[Piece]:
    return [("read-only ", "success bold")] if identity.read_only else [("read-write ", "")]
