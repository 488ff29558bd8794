"""Figures and what they are judged by: percentiles, medians, ratios. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .budgets import BUDGETS, Budget


@dataclass(frozen=True)
class Figure:
    """One measured thing; `value` is the median of `values`, in the unit of its budget."""

    name: str
    """Key in BUDGETS."""
    values: tuple[float, ...]
    beside: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """What it is compared with in the same run; the budget names the one that judges, others are for information."""
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    figure: Figure
    budget: Budget
    limit: float
    """What the figure may be at most, in its unit."""
    ratio: float | None
    """Figure over what it is compared with; None for an absolute budget without a comparison."""

    @property
    def kept(self) -> bool:
        """The budget is kept."""
        return self.figure.value <= self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` (0 to 1) of all values do not exceed (nearest rank); raises ValueError when empty."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = math.ceil(round(share * len(ordered), 6))
    return ordered[max(1, min(len(ordered), rank)) - 1]


def judge(figure: Figure) -> Verdict:
    """Put a figure beside its budget; raises KeyError for one without a budget or without its comparison."""
    budget = BUDGETS[figure.name]
    yardstick = statistics.median(figure.beside[budget.beside]) if budget.beside else None
    if budget.ratio is not None:
        if yardstick is None:
            raise KeyError(f"{figure.name} has a ratio and nothing to compare with")
        limit = budget.ratio * yardstick
    else:
        limit = budget.most if budget.most is not None else float("inf")
    return Verdict(figure, budget, limit, figure.value / yardstick if yardstick else None)
