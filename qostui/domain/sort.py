"""Sort orders: several columns, each up or down, with unknown values always last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from .errors import UsageProblem
from .table import Row, View

R = TypeVar("R", bound=Row)
Order = tuple[tuple[str, bool], ...]


def parse(text: str, view: View[Any]) -> Order:
    """`size`, `-size` (descending) or `state,-age`; raises UsageProblem for unknown columns."""
    order = []
    for part in text.split(","):
        name = part.strip()
        if not name:
            continue
        descending = name.startswith("-")
        try:
            order.append((view.column(name.lstrip("-+")).id, descending))
        except KeyError:
            raise UsageProblem(f"cannot sort by {name!r}", step=f"columns: {', '.join(column.id for column in view.columns)}") from None
    return tuple(order)


def arrange(rows: Iterable[R], order: Order, view: View[R]) -> list[R]:
    """The rows in that order; equal ones by their key, so that the order is the same each time."""
    arranged = sorted(rows, key=lambda row: row.key)
    for name, descending in reversed(order):
        key = view.column(name).sort
        known = [row for row in arranged if key(row) is not None]
        unknown = [row for row in arranged if key(row) is None]
        known.sort(key=key, reverse=descending)
        arranged = known + unknown
    return arranged
