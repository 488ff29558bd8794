"""The source of transfers: totals of all links, requests of the links where something happens, and what FTS says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..domain import states
from ..domain.errors import NotFoundProblem, Problem
from ..domain.request import Request, Totals
from ..services.feeds import Cancel
from .fts import FtsClient
from .rucio import Connection, batches, moment, number, text

BATCH = 250
QUIET_ROUNDS = 6
"""A link without a sign of life is asked for requests once in so many listings, in turn with the others."""
MAX_REQUESTS = 5000
_LETTERS = ",".join(kind.letter for kind in states.REQUEST.values() if kind.word != "DONE")
Link = tuple[str, str]


class RequestSource:
    """Requests by link, for accounts that may list them.

    `/requests/metrics` names every pair of RSEs that has a distance, but counts only what is queued; so pairs are asked
    for requests each time while they show life, and in turn while they do not.
    """

    def __init__(self, connection: Connection, fts: FtsClient, default_fts: str = "") -> None:
        self._connection = connection
        self._fts = fts
        self._default_fts = default_fts
        self._round = 0
        self._before: dict[Link, tuple[Totals, bool]] = {}
        self.note = ""

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """Requests that ended are in no listing, so there are no increments."""
        return None

    def full(self, cancel: Cancel) -> Iterator[Sequence[Request]]:
        """Links with something going on, then all requests; raises Problem."""
        totals = {_link(row): _totals(row) for row in self._connection.stream("requests/metrics", cancel)}
        busy = [_link_row(link, each) for link, each in totals.items() if each.busy]
        if busy:
            yield busy
        count, self.note = 0, ""
        alive: set[Link] = set()
        for link in self._to_ask(totals):
            for batch in self._requests(link, totals[link], cancel):
                alive.add(link)
                count += len(batch)
                yield self._with_fts(batch, cancel)
            if count >= MAX_REQUESTS:
                self.note = f"only the first {count} requests"
                break
        self._before = {link: (each, link in alive) for link, each in totals.items()}
        self._round += 1

    def _to_ask(self, totals: dict[Link, Totals]) -> Iterable[Link]:
        for position, (link, now) in enumerate(totals.items()):
            before = self._before.get(link)
            lively = before is None or before[1] or now.queued or now != before[0]
            if lively or position % QUIET_ROUNDS == self._round % QUIET_ROUNDS:
                yield link

    def _requests(self, link: Link, totals: Totals, cancel: Cancel) -> Iterator[list[Request]]:
        listing = self._connection.stream("requests/list", cancel, src_rse=link[0], dst_rse=link[1], request_states=_LETTERS)
        try:
            yield from batches((request(each, totals) for each in listing), BATCH)
        except NotFoundProblem:
            # The RSE was removed between the two calls.
            return

    def _with_fts(self, batch: list[Request], cancel: Cancel) -> list[Request]:
        jobs: dict[str, list[Request]] = {}
        for each in batch:
            if each.external_id and (each.external_host or self._default_fts) and each.transfertool in (None, "fts3"):
                jobs.setdefault(each.external_host or self._default_fts, []).append(each)
        answered: dict[str, Request] = {}
        for address, requests in jobs.items():
            try:
                said = self._fts.files(address, sorted({str(each.external_id) for each in requests}), cancel)
            except Problem as problem:
                answered.update((each.id, replace(each, fts_problem=problem.summary)) for each in requests)
                continue
            for each in requests:
                job = str(each.external_id)
                found = said.get((job, each.id)) or said.get((job, "")) or "FTS says nothing of this file"
                answered[each.id] = replace(each, fts_problem=found) if isinstance(found, str) else replace(each, fts=found)
        return [answered.get(each.id, each) for each in batch]


def _link(row: dict[str, Any]) -> Link:
    return str(row.get("src_rse")), str(row.get("dst_rse"))


def _totals(row: dict[str, Any]) -> Totals:
    files, volume = row.get("files") or {}, row.get("bytes") or {}

    def of(table: Any, name: str) -> int:
        return number(table.get(name)) or 0 if isinstance(table, dict) else 0

    return Totals(
        queued=of(files, "queued-total"),
        queued_bytes=of(volume, "queued-total"),
        done_1h=of(files, "done-total-1h"),
        done_6h=of(files, "done-total-6h"),
        failed_1h=of(files, "failed-total-1h"),
        failed_6h=of(files, "failed-total-6h"),
        done_bytes_1h=of(volume, "done-total-1h"),
        done_bytes_6h=of(volume, "done-total-6h"),
        distance=number(row.get("distance")),
    )


def _link_row(link: Link, totals: Totals) -> Request:
    return Request(id=f"link {link[0]} {link[1]}", state="LINK", source_rse=link[0], dest_rse=link[1], totals=totals)


def request(document: dict[str, Any], totals: Totals | None = None) -> Request:
    """A request from Rucio's JSON; missing or odd fields are tolerated."""
    get = document.get
    return Request(
        id=str(get("id")),
        state=str(get("state")),
        source_rse=str(get("source_rse") or ""),
        dest_rse=str(get("dest_rse") or ""),
        scope=str(get("scope") or ""),
        name=str(get("name") or ""),
        request_type=str(get("request_type") or ""),
        bytes=number(get("bytes")),
        activity=text(get("activity")),
        account=text(get("account")),
        priority=number(get("priority")),
        retry_count=number(get("retry_count")) or 0,
        err_msg=text(get("err_msg")),
        rule_id=text(get("rule_id")),
        external_id=text(get("external_id")),
        external_host=text(get("external_host")),
        transfertool=text(get("transfertool")),
        dest_url=text(get("dest_url")),
        created_at=moment(get("created_at")),
        updated_at=moment(get("updated_at")),
        requested_at=moment(get("requested_at")),
        submitted_at=moment(get("submitted_at")),
        started_at=moment(get("started_at")),
        totals=totals,
    )
