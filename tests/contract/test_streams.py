"""Streams that are broken off, that trickle, and servers that have too much to do: what the feeds do about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qostui.adapters import rucio_requests
from qostui.adapters.http import OriginSession
from qostui.domain.errors import ConnectionProblem, OverloadProblem
from qostui.services.feeds import Cancelled
from qostui.services.lanes import Lane
from qostui.services.session import Session

from . import fake_rucio
from .conftest import Server
from .fake_rucio import FakeRucio
from .test_sources import collect, until


def ids(listing: Iterator[Any]) -> set[str]:
    return {row.key for batch in listing for row in batch}


# Stopping early


def test_a_dropped_listing_hangs_up_and_the_next_call_works(rucio_server: Server) -> None:
    with closing(rucio_server.backend()) as backend:
        source = backend.source("rules")
        whole = ids(source.full(Lane("t")))
        first = next(iter(source.full(Lane("t"))))
        assert {row.key for row in first} <= whole
        assert whole <= ids(source.full(Lane("t")))


def test_the_server_is_told_at_once_that_nobody_reads_on(fake: FakeRucio, fake_server: Server) -> None:
    endless = fake_rucio.Endless()
    fake.answers["/rules/"] = endless
    with closing(fake_server.backend()) as backend:
        source = backend.source("rules")
        listing = source.full(Lane("t"))
        assert next(listing)
        listing.close()  # type: ignore[attr-defined]
        assert endless.hung_up.wait(5)
        fake.answers.clear()
        assert len(ids(source.full(Lane("t")))) == 3


def test_reaching_the_limit_hangs_up(fake: FakeRucio, fake_server: Server) -> None:
    endless = fake_rucio.Endless("OK")
    fake.answers["/rules/"] = endless
    limited = Server(fake_server.profile, replace(fake_server.settings, max_ok_rules=300))
    with closing(limited.backend()) as backend:
        assert len(ids(backend.source("rules").full(Lane("t")))) == 300
        assert "only 300" in backend.note("rules")
        assert endless.hung_up.wait(5)


@pytest.mark.parametrize("end", ["cancelled", "switched"])
def test_a_stream_that_is_not_wanted_any_more_ends_and_the_next_lane_works(fake: FakeRucio, fake_server: Server, end: str) -> None:
    endless = fake_rucio.Endless()
    fake.answers["/rules/"] = endless
    backend, lane, raised = fake_server.backend(), Lane("t"), list[BaseException]()
    source, seen, over = backend.source("rules"), threading.Event(), threading.Event()

    def read() -> None:
        try:
            for _ in source.full(lane):
                seen.set()
        except BaseException as error:
            raised.append(error)
        over.set()

    threading.Thread(target=read, daemon=True).start()
    assert seen.wait(5)
    lane.cancel()
    if end == "switched":
        backend.close()
    assert over.wait(5)
    assert isinstance(raised[0], Cancelled)
    assert endless.hung_up.wait(5)
    fake.answers.clear()
    assert len(ids(source.full(Lane("t")))) == 3
    backend.close()


def test_a_call_that_connects_after_it_was_cancelled_is_never_heard(fake: FakeRucio) -> None:
    http = OriginSession((fake.address,), True)
    assert http.get(f"{fake.address}/rses/").status_code == 401
    http.end()
    with pytest.raises(ConnectionProblem):
        http.get(f"{fake.address}/rules/")
    assert fake.paths() == ["/rses/"]


# Rows that trickle


def test_a_lone_row_is_handed_out_while_the_server_thinks(fake: FakeRucio, fake_server: Server) -> None:
    more = threading.Event()
    fake.answers["/rules/"] = fake_rucio.one_by_one(more)
    with closing(fake_server.backend()) as backend:
        listing = backend.source("rules").full(Lane("t"))
        assert [row.key for row in next(listing)] == ["0" * 32]
        assert not more.is_set()
        more.set()
        assert [row.key for row in next(listing)] == ["f" * 32]


def test_urgent_states_are_asked_for_first(fake: FakeRucio, fake_server: Server) -> None:
    rules = fake_server.read("rules")
    assert [rule.state for rule in rules[:3]] == ["STUCK", "REPLICATING", "OK"]
    assert [each.query["state"] for each in fake.asked if "state" in each.query] == list("SUWIRO")


# Clocks


def test_increments_go_by_the_servers_clock_from_the_first_listing_on(fake: FakeRucio, fake_server: Server) -> None:
    fake.ahead = timedelta(days=400)
    session = Session(fake_server.profile, fake_server.backend())
    feed = session.feed("rules")
    assert until(lambda: feed.status.state == "live")
    assert until(lambda: len([each for each in fake.asked if "updated_after" in each.query]) >= 2)
    for asked in [each for each in fake.asked if "updated_after" in each.query][:2]:
        since = datetime.strptime(asked.query["updated_after"], "%a, %d %b %Y %H:%M:%S UTC").replace(tzinfo=UTC)
        assert timedelta(seconds=4) <= datetime.now(UTC) + fake.ahead - since <= timedelta(seconds=60)
    session.close()


# Servers that have too much to do


@pytest.mark.parametrize(
    ("answer", "asked", "everywhere"),
    [
        (fake_rucio.busy(429, Retry_After="7"), 7.0, True),
        (fake_rucio.busy(429), None, True),
        (fake_rucio.busy(503, Retry_After="90"), 90.0, True),
        (fake_rucio.busy(504), None, False),
        (fake_rucio.busy(503, Retry_After="soon"), None, False),
        (fake_rucio.busy(503, Retry_After="Sun, 22 Nov 2020 19:25:34 GMT"), 0.0, True),
    ],
)
def test_how_long_to_wait_comes_from_the_server(
    fake: FakeRucio, fake_server: Server, answer: Callable[[fake_rucio.Reply], None], asked: float | None, everywhere: bool
) -> None:
    for path, view_id in (("/rules/", "rules"), ("/auth/", "rses")):
        for file in fake_server.settings.runtime_dir.glob("fake/token-*"):
            file.unlink()
        fake.answers = {path: answer}
        _, problem = collect(fake_server, view_id)
        assert isinstance(problem, OverloadProblem)
        assert (problem.retry_after, problem.everywhere, problem.retry) == (asked, everywhere, True)


def test_a_listing_of_many_calls_stops_at_the_first_that_is_refused(fake: FakeRucio, fake_server: Server) -> None:
    fake.rows["rses"] = [fake_rucio.rse_json(f"R{number}") for number in range(20)]
    fake.answers = {"/rses/R": fake_rucio.busy(504)}
    assert [rse.incomplete != "" for rse in fake_server.read("rses")] == [True] * 20
    fake.asked.clear()
    fake.answers = {"/rses/R": fake_rucio.busy(429)}
    _, problem = collect(fake_server, "rses")
    assert isinstance(problem, OverloadProblem)
    assert [path for path in fake.paths() if path.startswith("/rses/R")] == ["/rses/R0/attr/"]


def test_one_feed_that_is_told_to_wait_holds_the_others_back(fake: FakeRucio, fake_server: Server) -> None:
    session = Session(fake_server.profile, fake_server.backend())
    names = ("rses", "rules", "requests")
    assert until(lambda: all(session.feed(name).status.state == "live" for name in names))
    fake.answers["/rules/"] = fake_rucio.busy(429, Retry_After="600")
    session.feed("rules").refresh()
    assert until(lambda: session.feed("rules").status.state == "failed")
    assert "asks for fewer calls" in session.feed("rses").status.note
    assert session.feed("requests").status.state == "live"
    assert "asks for fewer calls" not in session.feed("credentials").status.note
    session.close()


def test_trouble_with_one_listing_is_its_own(fake: FakeRucio, fake_server: Server) -> None:
    fake.answers["/rules/"] = fake_rucio.busy(504)
    session = Session(fake_server.profile, fake_server.backend())
    assert until(lambda: session.feed("rules").status.state == "failed")
    assert until(lambda: all(session.feed(name).status.state == "live" for name in ("rses", "requests")))
    assert session.feed("rses").status.note == ""
    session.close()


# Many links


def test_a_listing_of_requests_makes_no_more_calls_than_stated(fake: FakeRucio, fake_server: Server) -> None:
    def link(number: int, **files: int) -> dict[str, Any]:
        return {"src_rse": f"S{number}", "dst_rse": "D", "distance": 1, "files": files, "bytes": {}}

    limit = rucio_requests.MAX_CALLS
    fake.rows["metrics"] = [link(number, **{"queued-total": 1}) for number in range(limit + 20)] + [link(999, **{"failed-total-1h": 3})]
    fake.rows["requests"] = [fake_rucio.request_json("9" * 32, source_rse="S999", dest_rse="D")]
    with closing(fake_server.backend()) as backend:
        rows = [row for batch in backend.source("requests").full(Lane("t")) for row in batch]
        asked = [each.query["src_rse"] for each in fake.asked if each.path == "/requests/list"]
        assert (len(asked), asked[0]) == (limit, "S999")
        assert [row.key for row in rows if not row.is_link] == ["9" * 32]
        assert f"{limit} of {limit + 21} links" in backend.note("requests")
