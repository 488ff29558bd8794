"""The Credentials pane: what this profile holds, and when each of it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ...domain.credential import Credential
from ...domain.text import SafeText, clean
from ...domain.units import left_text
from ...services.session import RENEWED
from .feed_pane import FeedPane

SOON = timedelta(hours=1)


class CredentialsPane(FeedPane):
    """What speaks for the operator here."""

    view_id = "credentials"
    nothing = "This profile holds no credential yet."
    summed_up = True

    def summarise(self, rows: Sequence[Credential], now: datetime) -> list[tuple[SafeText, str]]:
        return first_to_end(rows, now)


def first_to_end(rows: Sequence[Credential], now: datetime) -> list[tuple[SafeText, str]]:
    """What has expired, and what ends next."""
    parts: list[tuple[SafeText, str]] = []
    expired = [row for row in rows if row.expires is not None and row.expires <= now]
    lasting = (row for row in rows if row.expires is not None and row.expires > now and row.kind != RENEWED)
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
