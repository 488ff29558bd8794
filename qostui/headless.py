"""The panes without the console: listings to standard output, for people and for programs."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from .adapters.backend import RucioBackend
from .config import Settings
from .domain import query, sort
from .domain.errors import Problem
from .domain.profile import Profile, host_text
from .domain.table import Column, View
from .domain.text import clean
from .services.lanes import Lane, Lanes
from .services.session import VIEWS, view

GAP = "  "
WIDE = 160
"""Columns of a table when there is no terminal to ask."""


def listing(
    settings: Settings,
    profile: Profile,
    view_id: str,
    *,
    expression: str = "",
    output: str | None = None,
    filter_text: str = "",
    sort_text: str = "",
    limit: int | None = None,
    timeout_s: float = 120.0,
) -> int:
    """List one view on standard output; what came before a failure is printed, then the failure is raised."""
    chosen = view(view_id)
    wanted = query.parse(filter_text, chosen)
    order = sort.parse(sort_text, chosen) or chosen.order
    backend = RucioBackend(profile, settings, expression)
    try:
        rows, problem = collect(backend, chosen, timeout_s)
        note = backend.note(view_id)
    finally:
        backend.close()
    now = datetime.now(UTC)
    shown = [row for row in sort.arrange(rows, order, chosen) if wanted.matches(row, now)][:limit]
    if rows or problem is None:
        write(chosen, shown, output, now)
    if note:
        print(f"qostui: {note}", file=sys.stderr)
    if problem is not None:
        raise problem
    return 0


def collect(backend: RucioBackend, chosen: View[Any], timeout_s: float) -> tuple[list[Any], Problem | None]:
    """All rows of a view, last word wins, and why they are not complete if they are not."""
    rows: dict[str, Any] = {}
    source = backend.source(chosen.id)

    def read(lane: Lane) -> None:
        for batch in source.full(lane):
            rows.update((row.key, row) for row in batch)

    lanes = Lanes()
    try:
        lanes.run(chosen.id, read, timeout_s)
    except Problem as problem:
        return list(rows.values()), problem
    finally:
        lanes.close()
    return list(rows.values()), None


def once(settings: Settings, profile: Profile, timeout_s: float = 60.0) -> int:
    """All panes as tables; one that fails says why and does not stop the others. Returns the code of the first failure."""
    backend = RucioBackend(profile, settings)
    code = 0
    print(f"qostui  {clean(profile.name)}  {clean(host_text(profile.rucio_host))}  {clean(profile.account)} by {profile.auth}")
    try:
        for each in VIEWS:
            rows, problem = collect(backend, each, timeout_s)
            now = datetime.now(UTC)
            print(f"\n{each.title} {len(rows)}  {now:%H:%M:%SZ}{'  ' + backend.note(each.id) if backend.note(each.id) else ''}")
            _table(each, sort.arrange(rows, each.order, each), now)
            if problem is not None:
                print(f"✖ {clean(problem.summary)}{'  (' + clean(problem.step) + ')' if problem.step else ''}")
                code = code or problem.exit_code
            sys.stdout.flush()
    finally:
        backend.close()
    return code


def write(chosen: View[Any], rows: Sequence[Any], output: str | None, now: datetime) -> None:
    """Rows of a view on standard output, in one of the formats."""
    if output is None:
        output = "table" if sys.stdout.isatty() else "tsv"
    if output == "table":
        _table(chosen, rows, now)
    else:
        write_records([chosen.record(row) for row in rows], output)
    sys.stdout.flush()


def _table(chosen: View[Any], rows: Sequence[Any], now: datetime) -> None:
    total = shutil.get_terminal_size((WIDE, 40)).columns
    level = 1 if total < 100 else 2 if total < 140 else 3
    columns = [column for column in chosen.columns if column.priority <= level]
    texts = [[column.text(row, now) for column in columns] for row in rows]
    _print_table([column.label for column in columns], texts, columns, total)


def _print_table(labels: Sequence[str], texts: Sequence[Sequence[str]], columns: Sequence[Column[Any]] | None, total: int) -> None:
    widths = [max([_cells(label), *(_cells(line[index]) for line in texts)]) for index, label in enumerate(labels)]
    if columns is not None:
        widths = [
            min(width, column.width) if column.width and sum(widths) > total else width
            for width, column in zip(widths, columns, strict=True)
        ]
    right = [column.align == "right" for column in columns] if columns is not None else [False] * len(labels)
    for line in ([*labels], *texts):
        cells = [_fit(text, width, align) for text, width, align in zip(line, widths, right, strict=True)]
        print(_cut(GAP.join(cells).rstrip(), total) if columns is not None else GAP.join(cells).rstrip())


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _cell(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _fit(text: str, width: int, right: bool) -> str:
    cut = _cut(text, width)
    blank = " " * (width - _cells(cut))
    return blank + cut if right else cut + blank


def write_records(records: Sequence[dict[str, Any]], output: str | None) -> None:
    """Records in one of the formats; json is one array, jsonl an object a line, csv and tsv have a header line."""
    if output is None:
        output = "table" if sys.stdout.isatty() else "tsv"
    if output == "json":
        # ASCII only: escape and bidi characters in names stay data, and reach no terminal.
        print(json.dumps(list(records), indent=1))
    elif output == "jsonl":
        for record in records:
            print(json.dumps(record))
    else:
        names = list(dict.fromkeys(name for record in records for name in record))
        lines = [[_flat(record.get(name)) for name in names] for record in records]
        if output == "csv":
            _csv(names, lines)
        elif output == "tsv":
            for line in ([*names], *lines) if names else ():
                print("\t".join(line))
        else:
            _print_table([name.upper() for name in names], lines, None, WIDE)


def _csv(names: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if names:
        writer.writerow(names)
    writer.writerows(lines)


def _flat(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return clean(json.dumps(value))
    return clean(value)
