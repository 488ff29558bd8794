"""What every source keeps to, against a server made by hand and against the real lake; then what only bad servers do."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qostui.domain.credential import Credential
from qostui.domain.errors import (
    CertificateProblem,
    ConnectionProblem,
    CredentialProblem,
    DeniedProblem,
    OverloadProblem,
    Problem,
    ServerProblem,
)
from qostui.domain.profile import Profile
from qostui.domain.text import SafeText
from qostui.services.feeds import Cancelled
from qostui.services.lanes import Lane
from qostui.services.session import VIEWS, Session, view
from tests import lakes

from . import fake_rucio
from .conftest import Server
from .fake_rucio import FakeRucio

# The contract, for both servers


def test_rses_have_quality_space_and_doors(rucio_server: Server) -> None:
    rses = rucio_server.read("rses")
    assert rses
    assert len({rse.key for rse in rses}) == len(rses)
    assert any(rse.qos for rse in rses)
    assert all(rse.doors for rse in rses)
    assert any(rse.free and rse.total and rse.usage_source == "storage" for rse in rses)
    assert not [rse.incomplete for rse in rses if rse.incomplete]


def test_an_expression_narrows_and_an_empty_one_is_no_error(rucio_server: Server) -> None:
    everything = {rse.name for rse in rucio_server.read("rses")}
    assert {rse.name for rse in rucio_server.read("rses", expression="QOS=SAFE")} <= everything


def test_rules_come_in_all_states_with_aware_times(rucio_server: Server) -> None:
    rules = lakes.eventually(lambda: rucio_server.read("rules"), lambda rules: "STUCK" in {rule.state for rule in rules})
    assert {"STUCK", "OK"} <= {rule.state for rule in rules}
    assert all(rule.created_at is not None and rule.created_at.tzinfo is not None for rule in rules)
    assert any(rule.error for rule in rules if rule.state == "STUCK")


def test_increments_are_a_part_of_the_whole(rucio_server: Server) -> None:
    backend = rucio_server.backend()
    source, lane = backend.source("rules"), Lane("test")
    whole = {row.key for batch in source.full(lane) for row in batch}
    listing = source.since(backend.server_now() - timedelta(days=4000), lane)
    assert listing is not None
    assert whole <= {row.key for batch in listing for row in batch}
    assert abs(backend.server_now() - datetime.now(UTC)) < timedelta(seconds=5)
    backend.close()


def test_credentials_prove_the_session(rucio_server: Server) -> None:
    rows = {row.kind: row for row in rucio_server.read("credentials")}
    session = rows["Rucio session"]
    assert session.problem == ""
    assert session.who.startswith("ops @ ")
    assert session.expires is not None
    assert session.expires > datetime.now(UTC)
    assert session.usable_at == ("whoami",)
    assert session.renews
    assert session.actions == ("drop",)
    assert rows["Pass word"].problem == ""


def test_a_refused_credential_is_proved_wrong_but_a_silent_server_proves_nothing(fake: FakeRucio, fake_server: Server) -> None:
    backend = fake_server.backend()
    source, lane = backend.source("credentials"), Lane("test")

    def session() -> Credential:
        rows: dict[str, Credential] = {}
        with contextlib.suppress(Problem):
            for batch in source.full(lane):
                rows.update((row.kind, row) for row in batch)
        return rows["Rucio session"]

    assert [proof.accepted for proof in session().proofs] == [True]
    fake.answers["/accounts/whoami/"] = fake_rucio.fails(503, b"busy")
    silent = session()
    assert silent.problem
    assert [proof.accepted for proof in silent.proofs] == [True], "what was proved before"
    fake.answers["/accounts/whoami/"] = fake_rucio.fails(401, b'{"ExceptionClass": "CannotAuthenticate", "ExceptionMessage": "no"}')
    refused = session()
    assert [proof.accepted for proof in refused.proofs] == [False]
    assert refused.proofs[0].reason == refused.problem
    backend.close()


def test_every_row_makes_cells_details_and_a_record(rucio_server: Server) -> None:
    now = datetime.now(UTC)
    for each in VIEWS:
        for row in rucio_server.read(each.id):
            assert all(type(column.text(row, now)) is SafeText for column in each.columns)
            assert all(fact.value is None or type(fact.value) is SafeText for fact in each.detail(row, now))
            assert each.record(row)


def test_doors_of_schemes_that_rucio_does_not_know_come_from_attributes(fake_server: Server) -> None:
    doors = {door.scheme: door for door in fake_server.read("rses")[0].doors}
    assert doors["davs"].address == "davs://localhost:1094/data/"
    assert doors["xroots"].address == "xroots://h:1//data/"
    assert doors["xroots"].catalogue_only
    assert not doors["davs"].catalogue_only


# Servers that misbehave


def drain(listing: Iterator[Sequence[Any]], rows: list[Any]) -> None:
    """All rows of a listing, kept as they come."""
    for batch in listing:
        rows.extend(batch)


def collect(server: Server, view_id: str) -> tuple[list[Any], Problem]:
    """What came, and what was raised after it."""
    rows: list[Any] = []
    backend = server.backend()
    with pytest.raises(Problem) as caught:
        drain(backend.source(view_id).full(Lane("test")), rows)
    backend.close()
    return rows, caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (fake_rucio.cut_after(300), ConnectionProblem, "broke off"),
        (fake_rucio.fails(500), ServerProblem, "HTTP 500"),
        (fake_rucio.fails(503), OverloadProblem, "503"),
        (fake_rucio.fails(429), OverloadProblem, "429"),
        (fake_rucio.fails(200, b"<!doctype html><html>Welcome to the hotel wifi"), ServerProblem, "an HTML page instead of Rucio's JSON"),
        (fake_rucio.fails(200, b"not json\n", fake_rucio.STREAM), ServerProblem, "instead of Rucio's JSON"),
        (fake_rucio.fails(200, b"[1, 2]\n", fake_rucio.STREAM), ServerProblem, "instead of Rucio's JSON"),
        (fake_rucio.fails(200, b'{"id": "half', fake_rucio.STREAM), ConnectionProblem, "broke off"),
        (fake_rucio.fails(500, b"AccessDenied: account bob cannot"), DeniedProblem, "not allowed"),
    ],
)
def test_a_bad_answer_is_one_line_of_the_right_kind(
    fake: FakeRucio, fake_server: Server, answer: Callable[[fake_rucio.Reply], None], kind: type[Problem], says: str
) -> None:
    fake.answers["/rules/"] = answer
    _, problem = collect(fake_server, "rules")
    assert type(problem) is kind
    assert says in problem.summary
    assert "\n" not in problem.summary


def test_what_came_before_the_cut_is_kept(fake: FakeRucio, fake_server: Server) -> None:
    fake.answers["/rules/"] = fake_rucio.cut_after(600)
    rows, problem = collect(fake_server, "rules")
    assert isinstance(problem, ConnectionProblem)
    assert len(rows) >= 500


def until(happens: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not happens() and time.monotonic() < end:
        time.sleep(0.02)
    return happens()


def test_a_cut_listing_removes_nothing_and_deletions_show_after_a_clean_one(fake: FakeRucio, fake_server: Server) -> None:
    session = Session(fake_server.profile, fake_server.backend())
    feed = session.feed("rules")
    assert until(lambda: feed.status.state == "live")
    assert feed.status.count == 3
    fake.answers["/rules/"] = fake_rucio.cut_after(0)
    feed.refresh()
    assert until(lambda: feed.status.state == "failed")
    assert (feed.status.count, feed.status.unconfirmed) == (3, 3)
    fake.rows["rules"] = fake.rows["rules"][:1]
    fake.answers.clear()
    feed.refresh()
    assert until(lambda: feed.status.state == "live")
    assert (feed.status.count, feed.status.unconfirmed) == (1, 0)
    session.close()


def test_one_dead_source_does_not_take_the_others_down(fake: FakeRucio, fake_server: Server) -> None:
    fake.answers["/requests/"] = fake_rucio.fails(500)
    session = Session(fake_server.profile, fake_server.backend())
    assert until(lambda: session.feed("requests").status.state == "failed")
    assert until(lambda: all(session.feed(name).status.state == "live" for name in ("rses", "rules", "credentials")))
    session.close()


def test_a_cancelled_stream_ends_at_once(fake: FakeRucio, fake_server: Server) -> None:
    fake.answers["/rules/"] = fake_rucio.hangs(20)
    backend, lane, ended = fake_server.backend(), Lane("test"), threading.Event()
    raised: list[BaseException] = []

    def read() -> None:
        try:
            for _ in backend.source("rules").full(lane):
                pass
        except BaseException as error:
            raised.append(error)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert until(lambda: "/rules/" in fake.paths())
    time.sleep(0.1)
    lane.cancel()
    assert ended.wait(2)
    assert isinstance(raised[0], Cancelled)


def test_no_credential_follows_a_redirect_to_another_origin(fake: FakeRucio, fake_server: Server, other_origin: FakeRucio) -> None:
    for path, view_id in (("/rules/", "rules"), ("/auth/", "rses")):
        fake.answers = {path: fake_rucio.redirects(f"{other_origin.address}{path}")}
        _, problem = collect(fake_server, view_id)
        assert "sends us on to" in problem.summary
        for file in fake_server.settings.runtime_dir.glob("fake/token-*"):
            file.unlink()
    assert other_origin.asked == []
    fake.answers = {"/rules/": fake_rucio.redirects(f"http://localhost:{fake.port}/rules/")}
    _, problem = collect(fake_server, "rules")
    assert "sends us on to" in problem.summary


def test_a_redirect_within_the_origin_is_followed(fake: FakeRucio, fake_server: Server) -> None:
    assert fake_server.read("credentials")
    assert "/accounts/whoami/" in fake.paths()


def test_an_unknown_ca_is_a_certificate_problem(
    fake: FakeRucio, fake_server: Server, tls_files: Callable[[], tuple[Path, Path]], password_file: Path
) -> None:
    certificate, key = tls_files()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with fake_rucio.running(wrap=lambda socket: context.wrap_socket(socket, server_side=True)) as secure:
        address = f"https://127.0.0.1:{secure.port}"
        stranger = Server(Profile("s", address, "ops", "userpass", password_file=password_file), fake_server.settings)
        _, problem = collect(stranger, "rules")
        assert isinstance(problem, CertificateProblem)
        assert "not accepted" in problem.summary
        assert problem.exit_code == 4
        assert secure.asked == []
        trusting = Server(Profile("t", address, "ops", "userpass", password_file=password_file, ca=certificate), fake_server.settings)
        assert trusting.read("rules") == []


def test_a_refused_login_is_not_repeated_by_every_feed(fake: FakeRucio, fake_server: Server) -> None:
    fake.refused_logins = -1
    session = Session(fake_server.profile, fake_server.backend())
    assert until(lambda: all(session.feed(each.id).status.state == "failed" for each in VIEWS))
    problem = session.feed("rules").status.problem
    assert isinstance(problem, CredentialProblem)
    assert session.identity().problem is not None
    # Rucio's client itself tries no more than once; four feeds share that one refusal.
    assert fake.paths().count("/auth/userpass") == 1
    session.close()


def test_hostile_text_is_harmless_in_every_cell(fake: FakeRucio, fake_server: Server) -> None:
    evil = "\x1b]52;c;UFdORUQ=\x1b\\[@click=app.quit]x[/nope]\u202egnp.exe\x9b"
    fake.rows["rules"] = [fake_rucio.rule_json("1" * 32, "STUCK", name=evil, comments=evil, error=evil, account=evil, rse_expression=evil)]
    fake.rows["rses"] = [fake_rucio.rse_json("A", rse_type=evil)]
    fake.rows["requests"] = [fake_rucio.request_json("9" * 32, name=evil, err_msg=evil, activity=evil, dest_url=evil)]
    now = datetime.now(UTC)
    for name in ("rules", "rses", "requests"):
        rows = fake_server.read(name)
        cells = [column.text(row, now) for row in rows for column in view(name).columns]
        facts = [fact.value for row in rows for fact in view(name).detail(row, now) if fact.value is not None]
        shown = "".join([*cells, *facts])
        assert "x1b" in shown or name == "rses"
        assert not set(shown) & set("\x1b\x9b\u202e")
    assert fake_server.read("rules")[0].name == evil  # raw for calls


def test_ok_rules_stop_at_the_limit_and_say_so(fake: FakeRucio, fake_server: Server) -> None:
    from dataclasses import replace

    fake.rows["rules"] = [fake_rucio.rule_json(f"{number:032x}", "OK") for number in range(700)]
    fake.answers = {}
    limited = Server(fake_server.profile, replace(fake_server.settings, max_ok_rules=300))
    backend = limited.backend()
    source = backend.source("rules")
    first = [row for batch in source.full(Lane("t")) for row in batch][:300]
    assert len({row.key for row in first}) == 300
    assert "only 300" in backend.note("rules")
    backend.close()


def test_requests_carry_what_fts_says_and_bear_its_silence(
    fake: FakeRucio, fake_server: Server, tls_files: Callable[[], tuple[Path, Path]]
) -> None:
    from dataclasses import replace

    certificate, key = tls_files()
    key.chmod(0o600)
    job = "85b7f436-e69a-11f1-9e89-02fc00000001"
    fake.rows["requests"] = [fake_rucio.request_json("9" * 32, external_id=job, external_host=fake.address, transfertool="fts3")]
    file = {
        "file_state": "FAILED",
        "reason": "DESTINATION [13] Permission denied",
        "file_metadata": {"request_id": "9" * 32},
        "start_time": None,
    }
    fake.rows["jobs"] = [{"job_id": job, "http_status": "200 Ok", "job_state": "FAILED", "files": [file]}]
    holder = Server(replace(fake_server.profile, certificate=certificate, key=key), fake_server.settings)
    asked = {row.state: row for row in holder.read("requests")}["SUBMITTED"]
    assert asked.fts_problem == ""
    assert asked.fts is not None
    assert (asked.fts.file_state, asked.fts.reason) == ("FAILED", "DESTINATION [13] Permission denied")
    fake.rows["jobs"] = [{"job_id": job, "http_status": "403 Forbidden", "http_message": "Not enough permissions"}]
    unseen = {row.state: row for row in holder.read("requests")}["SUBMITTED"]
    assert (unseen.fts, unseen.fts_problem) == (None, "FTS does not let this certificate see the job")
    fake.answers["/jobs/"] = fake_rucio.fails(200, b"<html>")
    silent = {row.state: row for row in holder.read("requests")}
    assert silent["SUBMITTED"].fts is None
    assert silent["SUBMITTED"].fts_problem
    assert silent["LINK"].totals.queued == 2
    without = {row.state: row for row in fake_server.read("requests")}["SUBMITTED"]
    assert "no certificate" in without.fts_problem
