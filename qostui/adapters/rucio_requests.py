"""The source of transfers: totals of all links, requests of the links where something happens, and what FTS says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..domain import states
from ..domain.construct import quick
from ..domain.errors import NotFoundProblem, Problem
from ..domain.request import Request, Totals
from ..services.feeds import Cancel
from .fts import FtsClient
from .rucio import Connection, batches, counts, moment, number, optional_words, sentences, text, words

BATCH = 250
MAX_CALLS = 100
"""Links that are asked for requests in one listing, at most."""
QUIET_ROUNDS = 6
"""A link without a sign of life is asked for requests once in so many listings, in turn with the others."""
MAX_REQUESTS = 5000
_LETTERS = ",".join(kind.letter for kind in states.REQUEST.values() if kind.word != "DONE")
Link = tuple[str, str]


class RequestSource:
    """Requests by link, for accounts that may list them.

    `/requests/metrics` names every pair of RSEs that has a distance, but counts only what is queued; so pairs are asked
    for requests each time while they show life, and in turn while they do not. Links that fail come first, then long queues.
    One call for all pairs of two sites (`src_site`, `dst_site`) is no way out: of 200,000 requests Rucio streams 715 rows a
    second so, against 1,100 pair by pair, and an RSE without the attribute `site` would be left out silently.
    """

    def __init__(self, connection: Connection, fts: FtsClient, default_fts: str = "") -> None:
        self._connection = connection
        self._fts = fts
        self._default_fts = default_fts
        self._round = 0
        self._before: dict[Link, tuple[Totals, bool]] = {}
        """Link -> its totals when it was last asked for requests, and whether it had any."""
        self.note = ""

    def since(self, moment: datetime, cancel: Cancel) -> None:
        """Requests that ended are in no listing, so there are no increments."""
        return None

    def full(self, cancel: Cancel) -> Iterator[Sequence[Request]]:
        """Links with something going on, then all requests; raises Problem."""
        totals = {_link(row): _totals(row) for row in self._connection.stream("requests/metrics", cancel)}
        busy = [_link_row(link, each) for link, each in totals.items() if each.busy]
        for start in range(0, len(busy), BATCH):
            yield busy[start : start + BATCH]
        wanted = to_ask(totals, self._before, self._round)
        count, self.note = 0, ""
        if len(wanted) > MAX_CALLS:
            self.note = f"requests of {MAX_CALLS} of {len(wanted)} links, the most urgent ones"
        self._before = {link: before for link, before in self._before.items() if link in totals}
        for link in wanted[:MAX_CALLS]:
            alive = False
            for batch in self._requests(link, totals[link], cancel):
                alive = True
                count += len(batch)
                yield self._with_fts(batch, cancel)
            self._before[link] = (totals[link], alive)
            if count >= MAX_REQUESTS:
                self.note = f"only the first {count} requests, the most urgent links first"
                break
        self._round += 1

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


def to_ask(totals: dict[Link, Totals], before: dict[Link, tuple[Totals, bool]], turn: int) -> list[Link]:
    """The links to ask for requests in this turn: those that show life, then those never asked, then some of the others.

    `before` is what was seen of a link when it was last asked: its totals, and whether it had requests.
    """
    ranked: list[tuple[tuple[int, int, int], Link]] = []
    for position, (link, now) in enumerate(totals.items()):
        seen = before.get(link)
        if now.queued or (seen is not None and (seen[1] or now != seen[0])) or (seen is None and now.busy):
            kind = 0
        elif seen is None:
            kind = 1
        elif position % QUIET_ROUNDS == turn % QUIET_ROUNDS:
            kind = 2
        else:
            continue
        ranked.append(((kind, -now.failed_1h or -now.failed_6h, -now.queued), link))
    return [link for _, link in sorted(ranked)]


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
    try:
        return _request(document.get, totals)
    except TypeError:
        # A list or an object where a plain value belongs.
        return _request({name: str(value) if isinstance(value, dict | list) else value for name, value in document.items()}.get, totals)


_new = quick(Request)


def _request(get: Callable[[str], Any], totals: Totals | None) -> Request:
    return _new(  # in the order of Request's fields: by name would take three times as long
        str(get("id")),
        words[get("state")],
        words[get("source_rse")],
        words[get("dest_rse")],
        words[get("scope")],
        text(get("name")) or "",
        words[get("request_type")],
        number(get("bytes")),
        optional_words[get("activity")],
        optional_words[get("account")],
        number(get("priority")),
        counts[get("retry_count")],
        sentences[get("err_msg")],
        sentences[get("rule_id")],
        sentences[get("external_id")],
        optional_words[get("external_host")],
        optional_words[get("transfertool")],
        text(get("dest_url")),
        moment(get("created_at")),
        moment(get("updated_at")),
        moment(get("requested_at")),
        moment(get("submitted_at")),
        moment(get("started_at")),
        None,  # what FTS says comes later
        "",
        totals,
    )
