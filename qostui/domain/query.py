"""The filter language of the console: what is typed after `/` and given to `--filter`.

    stuck gsi                 both words somewhere in the row
    state:stuck,replicating   a column (or a field of the JSON record) contains one of the values
    !activity:Debug  !debug   not
    /run0\\d+/  did:/run0/     a regular expression
    size>1GB  age<3h          comparisons: sizes, spans of time, numbers

Case does not matter. Quotes keep spaces: `why:"no space"`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from .errors import UsageProblem
from .table import Row, View
from .text import clean
from .units import parse_bytes, parse_duration

Test = Callable[[Any, datetime], bool]
_TOKEN = re.compile(r"""(?P<not>!?)(?P<head>[A-Za-z_][\w-]*(?::|>=|<=|>|<))?(?P<value>/(?:[^/\\]|\\.)*/(?=\s|$)|(?:"[^"]*"|[^\s"])*)""")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
MAX_LENGTH = 500


@dataclass(frozen=True)
class Term:
    """One part of a filter as it was typed, and its test."""

    head: str
    """`state:`, `size>`, or "" for a text anywhere."""
    text: str
    test: Test
    growing: bool
    """More letters at its end can only make it match fewer rows."""

    def narrows(self, before: Term) -> bool:
        """What passes this passed `before` too."""
        if self.text == before.text:
            return True
        return self.head == before.head and self.growing and before.growing and self.text.startswith(before.text)


@dataclass(frozen=True)
class Filter:
    """A parsed filter; all of its terms must hold."""

    text: str
    terms: tuple[Term, ...] = ()

    def matches(self, row: Row, now: datetime) -> bool:
        """Whether the row is to be shown; `now` (UTC) is what ages are measured from."""
        return all(term.test(row, now) for term in self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def may_tell_time(self) -> bool:
        """A column is named or compared: it may be an age, so that rows come and go without being changed."""
        return any(term.head for term in self.terms)

    def narrows(self, before: Filter) -> bool:
        """Every row that passes this one passed `before` too, as far as their texts tell: then only those need a look."""
        if not before.terms or len(self.terms) < len(before.terms):
            return False
        return all(new.narrows(old) for new, old in zip(self.terms, before.terms, strict=False))


def parse(text: str, view: View[Any]) -> Filter:
    """The filter that `text` means for the rows of `view`; raises UsageProblem with the nearest known column."""
    if len(text) > MAX_LENGTH:
        raise UsageProblem(f"the filter is longer than {MAX_LENGTH} characters", step="shorten it")
    terms: list[Term] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise UsageProblem(f"cannot read the filter from {text[position:]!r}", step="close the quotes, or put the text in /.../")
        position = match.end()
        head, value = match["head"] or "", match["value"]
        test = _test(head, value, view)
        if test is not None:
            growing = not match["not"] and head[-1:] in ("", ":") and value.isprintable() and not set('",/') & set(value)
            terms.append(Term(head, match[0], _inverse(test) if match["not"] else test, growing))
    return Filter(text, tuple(terms))


def _inverse(test: Test) -> Test:
    return lambda row, now: not test(row, now)


def _test(head: str, value: str, view: View[Any]) -> Test | None:
    if not head:
        return _contains(lambda row, now: _everything(row, now, view), value) if value else None
    name, sign = (head[:-1], ":") if head.endswith(":") else (head.rstrip("<>="), head[len(head.rstrip("<>=")) :])
    if sign == ":":
        return _named(name, value, view) if value else None
    return _comparison(name, sign, value, view)


def _contains(text: Callable[[Any, datetime], str], value: str) -> Test:
    if len(value) > 1 and value.startswith("/") and value.endswith("/"):
        try:
            search = re.compile(value[1:-1], re.IGNORECASE | re.MULTILINE).search
        except re.error as error:
            raise UsageProblem(f"{value} is not a regular expression: {error}", step="write special characters with a backslash") from error
        return lambda row, now: search(text(row, now)) is not None
    words = tuple(word.strip('"').casefold() for word in re.findall(r'"[^"]*"|[^,"]+', value))
    words = tuple(word for word in words if word)
    return lambda row, now: any(word in text(row, now).casefold() for word in words)


def _everything(row: Any, now: datetime, view: View[Any]) -> str:
    # Numbers, ages and bars are compared, not searched for; leaving them out makes a search of 100,000 rows bearable.
    return "\n".join(column.text(row, now) for column in view.columns if column.align != "right" and column.id != "progress")


def _named(name: str, value: str, view: View[Any]) -> Test:
    """A test of a column, else of a field of the record, else of the text as it was typed (a DID has a colon too)."""
    try:
        return _contains(view.column(name).text, value)
    except KeyError:
        pass
    near = get_close_matches(name.lower(), [column.id for column in view.columns], 1, 0.75)
    if near:
        raise UsageProblem(f"no column is called {name!r}", step=f"did you mean {near[0]}?")
    field = name.lower()
    in_field = _contains(lambda row, now: clean(view.record(row)[field]), value)
    in_text = _contains(lambda row, now: _everything(row, now, view), f"{name}:{value}")
    return lambda row, now: in_field(row, now) if field in view.record(row) else in_text(row, now)


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name.lower(), known, 1)
    return f"did you mean {near[0]}?" if near else f"columns: {', '.join(dict.fromkeys(known))}"


def _comparison(name: str, sign: str, value: str, view: View[Any]) -> Test:
    try:
        key = view.column(name).sort
    except KeyError:
        raise UsageProblem(f"no column is called {name!r}", step=_nearest(name, [c.id for c in view.columns])) from None
    compare = _COMPARE[sign]
    span, count = _span(value), _count(value)
    if span is None and count is None:
        raise UsageProblem(f"{value!r} cannot be compared", step="write a size (1GB), a span of time (3h) or a number")
    until = "left" in name.lower() or "expires" in name.lower()

    def test(row: Any, now: datetime) -> bool:
        found = key(row)
        if isinstance(found, datetime):
            return span is not None and compare(found - now if until else now - found, span)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return count is not None and compare(found, count)
        return False

    return test


def _span(value: str) -> timedelta | None:
    try:
        return parse_duration(value)
    except UsageProblem:
        return None


def _count(value: str) -> float | None:
    if value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return parse_bytes(value)
    except UsageProblem:
        return None
