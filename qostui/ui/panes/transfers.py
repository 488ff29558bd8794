"""The Transfers pane: requests by state and link, with their totals in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ...domain import states
from ...domain.request import Request
from ...domain.text import SafeText, clean
from ...domain.units import bytes_text
from .feed_pane import FeedPane


class TransfersPane(FeedPane):
    """What moves, what waits, what failed."""

    view_id = "requests"
    nothing = "Nothing waits, moves or has failed: there are no requests."
    summed_up = True

    def summarise(self, rows: Sequence[Request], now: datetime) -> list[tuple[SafeText, str]]:
        return totals(rows)


def totals(rows: Sequence[Request]) -> list[tuple[SafeText, str]]:
    """Requests by state, most urgent first, then all links together, then the busiest or failing ones."""
    requests = [row for row in rows if not row.is_link]
    links = [row for row in rows if row.is_link and row.totals is not None]
    by_state = Counter(row.state for row in requests)
    parts = [
        (clean(f"{kind.glyph} {kind.label} {by_state[word]}"), kind.style)
        for word in sorted(by_state, key=lambda word: -states.rank(states.REQUEST, word))
        for kind in (states.kind(states.REQUEST, word),)
    ]
    if not links:
        return parts
    all_links = [row.totals for row in links if row.totals is not None]
    failed = sum(each.failed_1h for each in all_links)
    parts.append((clean(f"{len(links)} links: {sum(each.queued for each in all_links)} queued"), ""))
    parts.append(
        (
            clean(f"1 h: {sum(each.done_1h for each in all_links)} done {bytes_text(sum(each.done_bytes_1h for each in all_links))}"),
            "state-ok",
        )
    )
    parts.append((clean(f"{failed} failed"), "state-stuck" if failed else "muted"))
    failing = sorted(
        (row for row in links if row.totals is not None and row.totals.failed_1h),
        key=lambda row: -row.totals.failed_1h if row.totals else 0,
    )
    parts.extend((clean(f"{row.source_rse} → {row.dest_rse} ✖ {row.totals.failed_1h}"), "state-stuck") for row in failing[:3] if row.totals)
    return parts
