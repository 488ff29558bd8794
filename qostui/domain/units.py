"""Bytes, durations and times as people and programs write them. All times are aware and in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from .errors import UsageProblem

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_FACTORS: dict[str, int] = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgtpe", 1)
    for suffix, base in (("", 1000), ("b", 1000), ("i", 1024), ("ib", 1024))
}
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31557600}
_NUMBER_AND_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def bytes_text(count: int | None) -> str:
    """`1.2 TB`, decimal like Rucio's own tools; "" for unknown."""
    if count is None:
        return ""
    value = float(count)
    for unit in _DECIMAL:
        if abs(value) < 999.5 or unit == _DECIMAL[-1]:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}" if abs(value) < 9.95 else f"{value:.0f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def parse_bytes(text: str) -> int:
    """Bytes of `500`, `1GB`, `1.5 TiB`; raises UsageProblem."""
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None or match[2].lower() not in _FACTORS:
        raise UsageProblem(f"{text!r} is not a size", step="write it like 500, 1GB or 1.5TiB")
    return round(float(match[1]) * _FACTORS[match[2].lower()])


def parse_duration(text: str) -> timedelta:
    """Time span of `30s`, `15m`, `3h`, `2d`, `1w`; raises UsageProblem."""
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None or match[2].lower() not in _SECONDS:
        raise UsageProblem(f"{text!r} is not a time span", step="write it like 30s, 15m, 3h or 2d")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2].lower()])
    except OverflowError as error:
        raise UsageProblem(f"{text!r} is too long a time span", step="write it like 30s, 15m, 3h or 2d") from error


def duration_text(span: timedelta) -> str:
    """`9 s`, `12 m`, `3 h`, `2 d`, `14 mo`, `3 y`: one unit, cut off, without a sign."""
    seconds = abs(int(span.total_seconds()))
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "m"), (172800, 3600, "h"), (86400 * 90, 86400, "d"), (86400 * 730, 2629800, "mo")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 31557600} y"


def age_text(moment: datetime | None, now: datetime) -> str:
    """How long ago `moment` was; "" for unknown, `now` for the future (two clocks differ)."""
    if moment is None:
        return ""
    return duration_text(now - moment) if moment <= now else "now"


def left_text(moment: datetime | None, now: datetime) -> str:
    """Time left until `moment`: `9 h 12 m`, `52 m`, `expired 3 h ago`; "" for no end."""
    if moment is None:
        return ""
    seconds = int((moment - now).total_seconds())
    if seconds <= 0:
        return f"expired {duration_text(now - moment)} ago"
    if seconds < 3600:
        return f"{seconds // 60} m" if seconds >= 60 else f"{seconds} s"
    if seconds < 172800:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} m"
    return duration_text(moment - now)


def iso(moment: datetime | None) -> str | None:
    """`2026-11-22T17:31:16Z`; None stays None."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_text(moment: datetime | None) -> str:
    """`2026-11-22 17:31:16Z` for detail views; "" for unknown."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def bar(fraction: float | None, width: int) -> str:
    """A progress bar of `width` cells in eighths; blanks when unknown."""
    if fraction is None:
        return " " * width
    eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
    if fraction < 1.0:
        eighths = min(eighths, width * 8 - 1)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width, "░")
