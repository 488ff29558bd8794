"""The RSEs pane: every storage element with its quality of service, space and doors."""

from __future__ import annotations

from .feed_pane import FeedPane


class RsesPane(FeedPane):
    """What storage there is."""

    view_id = "rses"
    nothing = "This Rucio has no RSEs, or this account sees none."
