"""Sort orders: several columns, each up or down, with unknown values always last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from .errors import UsageProblem
from .table import Row, View

R = TypeVar("R", bound=Row)
Order = tuple[tuple[str, bool], ...]
"""(column id, descending), most significant first."""
Rank = tuple[Any, ...]
"""What rows are compared by; its last element is the row's key."""

SHARED = 4096
_NUMBER, _TIME, _TEXT, _TUPLE, _OTHER, _UNKNOWN = range(6)
_COMPLEMENT = bytes(255 - byte for byte in range(256))
_KINDS: dict[type, int] = {int: _NUMBER, float: _NUMBER, bool: _NUMBER, datetime: _TIME, tuple: _TUPLE, type(None): _UNKNOWN}


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


class Ranking(Generic[R]):
    """Ranks the rows of a view for one order; rows sort as their ranks do, equal ones by their key."""

    def __init__(self, order: Order, view: View[R]) -> None:
        sorts = {column.id: column.sort for column in view.columns}
        wanted: dict[str, bool] = {}
        for name, descending in order:
            wanted.setdefault(name, descending)  # a column named twice counts where it stands first
        self._shared: dict[float, float] = {}
        """Numbers that many rows have are one object."""
        self._columns = [(sorts[name], descending) for name, descending in wanted.items() if name in sorts]

    def __call__(self, row: R) -> Rank:
        """The rank of one row: for each column its kind and its value, then the key."""
        parts: list[Any] = []
        shared = self._shared
        for sort, descending in self._columns:
            value = sort(row)
            kind = _KINDS.get(type(value), -1)
            if kind == _NUMBER:
                number = -value if descending else value
                parts += (kind, shared.setdefault(number, number) if len(shared) < SHARED else number)
            elif kind == _TIME:
                moment = value.timestamp()
                parts += (kind, -moment if descending else moment)
            else:
                parts += _pair(value, descending)
        parts.append(row.key)
        return tuple(parts)


def _pair(value: Any, descending: bool) -> tuple[int, Any]:
    """Values of unlike kinds stand side by side instead of failing to compare; None is last either way."""
    if value is None:
        return _UNKNOWN, 0
    if isinstance(value, str):
        return _TEXT, _turned(value) if descending else value
    if isinstance(value, int | float):
        return _NUMBER, -value if descending else value
    if isinstance(value, datetime):
        return _TIME, -value.timestamp() if descending else value.timestamp()
    if isinstance(value, tuple):
        return _TUPLE, tuple(_pair(part, descending) for part in value)
    return _OTHER, Descending(value) if descending else value


def _turned(text: str) -> bytes:
    """Bytes that compare the other way round than the text: UTF-8 keeps the order of code points, and an end mark comes last."""
    return text.encode("utf-8", "surrogatepass").translate(_COMPLEMENT) + b"\xff"


class Descending:
    """Turns the order of a value that cannot be negated."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Descending) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]  # an order, never a key


def arrange(rows: Iterable[R], order: Order, view: View[R]) -> list[R]:
    """The rows in that order; equal ones by their key, so that the order is the same each time."""
    return sorted(rows, key=Ranking(order, view))
