"""The panes, in the order of their tabs. A new one is a file here and a line below."""

from __future__ import annotations

from .credentials import CredentialsPane
from .feed_pane import FeedPane
from .rses import RsesPane
from .rules import RulesPane
from .transfers import TransfersPane

__all__ = ["PANES", "FeedPane"]

PANES: tuple[type[FeedPane], ...] = (
    RsesPane,
    RulesPane,
    TransfersPane,
    CredentialsPane,
)
