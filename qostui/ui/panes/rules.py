"""The Rules pane: replication rules, the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ...domain.rule import Rule
from ...domain.table import Column, View
from .feed_pane import FeedPane


class RulesPane(FeedPane):
    """What is to be where, and why it is not."""

    view_id = "rules"
    nothing = "There are no rules that this account sees."

    @classmethod
    def dressed(cls, view: View[Rule]) -> View[Rule]:
        """Progress of what is done is quiet, so that what is not done stands out."""
        return replace(view, columns=tuple(_quiet(column) if column.id == "progress" else column for column in view.columns))


def _quiet(column: Column[Rule]) -> Column[Rule]:
    style = column.style

    def quiet(rule: Rule, now: datetime) -> str:
        return "muted" if rule.state == "OK" or style is None else style(rule, now)

    return replace(column, style=quiet)
