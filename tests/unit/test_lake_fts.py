"""The lake's FTS stand-in: its rules here, its REST and its transfers in the lake's environment (tests/inside/fts_flows.py)."""

from __future__ import annotations

import errno
import json
import stat
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qostui.lake.inside import topology
from qostui.lake.inside.fts import bans, credentials, links, logs, orders, reasons, shapes, states, submission, workers
from qostui.lake.inside.fts.store import KEPT_SECONDS, Store
from qostui.lake.inside.state import Facts, State
from tests import lakes

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "fts_recorded.json").read_text())
"""Answers of a real FTS 3.13.3."""
ROBOT = topology.distinguished_name("robot")


def built(document: object, **more: Any) -> submission.Submission:
    told: dict[str, Any] = {
        "user_dn": "/CN=alice",
        "vo": "escape",
        "cred_id": "c" * 16,
        "method": "certificate",
        "now": 1000.0,
        "host": "here",
    }
    return submission.build(document, **{**told, "endpoint": links.address, "allow_local": True, **more})


def one_file(params: Mapping[str, Any] | None = None, **file: Any) -> dict[str, Any]:
    entry = {"sources": ["mock://a.test/f?size=10"], "destinations": ["mock://b.test/f"], **file}
    return {"files": [entry], "params": dict(params or {})}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "fts.db")


@pytest.fixture
def lake(tmp_path: Path) -> tuple[State, Facts]:
    ports = {name: 20000 + number for number, name in enumerate(topology.port_names())}
    return State(tmp_path), Facts("0a1b", "41.5.1", "nobody", ports)


def queued(store: Store, document: object, **more: Any) -> dict[str, Any]:
    made = built(document, **more)
    store.add(made)
    return made.job


# -- reasons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", RECORDED["failed_files"], ids=lambda file: file["reason"][:30])
def test_reasons_and_retries_are_those_a_real_fts_gave(file: dict[str, Any]) -> None:
    scope, rest = file["reason"].split(" [", 1)
    code, text = rest.split("] ", 1)
    failure = reasons.Failure(scope, int(code), text)
    assert failure.reason == file["reason"]
    assert failure.recoverable is file["recoverable"]


@pytest.mark.parametrize(
    ("scope", "code", "text", "again"),
    [
        (reasons.SOURCE, errno.ENOENT, "Result HTTP 404 : File not found", False),
        (reasons.DESTINATION, errno.ENOENT, "gone", True),
        (reasons.TRANSFER, errno.ENOSPC, "no space left", False),
        (reasons.TRANSFER, errno.EIO, "DESTINATION CHECKSUM MISMATCH user and destination", False),
        (reasons.TRANSFER, errno.EACCES, "SSL handshake failed: Connection timed out", True),
        (reasons.SOURCE, errno.ETIMEDOUT, "whatever", True),
        (reasons.TRANSFER, errno.ECANCELED, "stopped", False),
    ],
)
def test_what_is_tried_again(scope: str, code: int, text: str, again: bool) -> None:
    assert reasons.Failure(scope, code, text).recoverable is again


def test_a_killed_step_may_be_tried_again_and_names_its_step() -> None:
    failure = reasons.timed_out(reasons.SOURCE, 150)
    assert failure.reason.startswith("SOURCE [110] operation timeout")
    assert failure.recoverable


@pytest.mark.parametrize(
    "text",
    [
        "root://h//f?authz=Bearer%20{t}&x=1",
        "HTTP 403 for davs://h/f?access_token={t}",
        "Authorization: Bearer {t}",
        "unexpected {t} in answer",
    ],
)
def test_tokens_do_not_get_into_texts(text: str) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    shown = reasons.Failure(reasons.TRANSFER, 1, text.format(t=token)).reason
    assert "eyJ" not in shown
    assert "***" in shown
    row = {"source_surl": text.format(t=token)}
    assert shapes.file(row, ["source_surl"])["source_surl"] == reasons.masked(row["source_surl"])


def test_checksums_are_equal_with_leading_zeros_and_in_capitals() -> None:
    assert reasons.same_checksum("00ab12", "AB12")
    assert not reasons.same_checksum("ab12", "ab13")


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_a_job_has_the_keys_a_real_fts_sends(store: Store) -> None:
    job = queued(store, one_file({"job_metadata": {"issuer": "rucio"}, "overwrite": True, "verify_checksum": "none"}))
    shown = shapes.job(store.job(job["job_id"]) or {})
    recorded = RECORDED["job"]
    assert set(shown) == set(recorded)
    for name, value in recorded.items():
        if value is not None and shown[name] is not None:
            assert type(shown[name]) is type(value), name
    assert shown["job_metadata"] == {"issuer": "rucio", "auth_method": "certificate"}
    assert (shown["overwrite_flag"], shown["verify_checksum"], shown["job_type"], shown["job_state"]) == ("Y", "n", "N", "SUBMITTED")
    assert (shown["bring_online"], shown["copy_pin_lifetime"], shown["archive_timeout"], shown["cancel_job"]) == (-1, -1, -1, False)


def test_a_file_has_the_keys_a_real_fts_sends(store: Store) -> None:
    job = queued(store, one_file(filesize=10, metadata={"request_id": "r"}))
    [row] = store.files_of(job["job_id"])
    shown = shapes.file(row)
    [recorded] = RECORDED["files_answer"]["response"]
    assert set(shown) == set(recorded)
    for name in (
        "file_index",
        "checksum",
        "priority",
        "activity",
        "retry",
        "recoverable",
        "log_debug",
        "selection_strategy",
        "file_state_initial",
    ):
        assert shown[name] == recorded[name] if name != "recoverable" else shown[name] is False
    assert shown["file_metadata"] == {"request_id": "r"}
    assert "transferred" in shapes.file(row, ["transferred", "no_such_field"])
    assert "no_such_field" not in shapes.file(row, ["transferred", "no_such_field"])


def test_one_job_answers_with_an_object_and_several_with_a_list_and_a_miss_with_207() -> None:
    unknown = RECORDED["unknown_job"]["response"]
    assert shapes.not_found(unknown["job_id"]) == unknown
    assert shapes.many([shapes.not_found("x")], asked=1)[1] == 404
    assert shapes.many([{"http_status": "304 Not Modified"}], asked=1)[1] == 200
    assert shapes.many([shapes.not_found("x"), {"http_status": "200 Ok"}], asked=2)[1] == RECORDED["mixed_jobs"]["status"]
    assert shapes.many([{"http_status": "200 Ok"}] * 2, asked=2)[1] == 200


def test_times_are_utc_without_a_zone() -> None:
    assert shapes.utc(0) == "1970-01-01T00:00:00"
    assert shapes.epoch(shapes.utc(1795376323)) == 1795376323


# -- submissions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", RECORDED["refused"], ids=lambda recorded: recorded["response"]["message"][:40])
def test_bad_submissions_get_the_recorded_refusals(recorded: dict[str, Any]) -> None:
    with pytest.raises(submission.Refused) as caught:
        built(recorded["body"], allow_local=False)
    assert caught.value.status == recorded["status"]
    assert caught.value.message == recorded["response"]["message"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"files": "x"},
        {"files": [1]},
        {"files": [{"sources": "mock://a/b", "destinations": ["mock://a/b"]}]},
        {"files": [{"sources": ["mock://a/b"], "destinations": ["mock://a:x/b"]}]},
        {"files": [{"sources": ["ftp://a/b"], "destinations": ["mock://a/b"]}]},
        {"files": [{"sources": ["davs:///b"], "destinations": ["mock://a/b"]}]},
        one_file({"retry": "often"}),
        one_file({"priority": []}),
        one_file({"verify_checksum": "maybe"}),
        one_file({"overwrite": True, "overwrite_on_retry": True}),
        one_file({"overwrite_hop": True}),
        one_file({"overwrite_when_only_on_disk": True}),
        one_file({"id_generator": "deterministic"}),
        one_file(filesize="big"),
        one_file(filesize=-1),
        one_file(selection_strategy="best"),
        one_file(source_tokens=["t"]),
        one_file(source_tokens=["t", "u"], destination_tokens=["t"]),
        one_file(source_tokens=[1], destination_tokens=["t"]),
    ],
)
def test_nonsense_is_refused_not_crashed_on(document: object) -> None:
    with pytest.raises(submission.Refused) as caught:
        built(document)
    assert caught.value.status == 400
    assert caught.value.message


def test_local_and_mock_urls_are_for_tests_only() -> None:
    for url in ("file:///etc/passwd", "mock://a/b"):
        with pytest.raises(links.BadUrl):
            links.checked(url)
        assert links.checked(f" {url} ", allow_local=True) == url
    for url in ("davs://h:1/p", "root://h//p", "roots://h//p", "gsiftp://h/p", "srm://h/p", "https://h/p"):
        assert links.checked(url) == url


def test_what_rucio_sends_becomes_the_job_it_means() -> None:
    params = {
        "account": "root", "verify_checksum": "both", "copy_pin_lifetime": None, "bring_online": None, "overwrite": True,
        "overwrite_when_only_on_disk": False, "priority": 3, "s3alternate": True, "spacetoken": "TOKEN",
        "job_metadata": {"issuer": "rucio", "multi_sources": False},
    }  # fmt: skip
    made = built(one_file(params, filesize=7, checksum="ADLER32:00000001", selection_strategy="orderly", activity="User Subscriptions"))
    [file] = made.files
    assert (made.job["verify_checksum"], made.job["overwrite_flag"], made.job["job_state"]) == ("b", "Y", "SUBMITTED")
    assert made.job["destination_spacetoken"] == "TOKEN"
    assert made.job["internal_job_params"] == "s3alternate"
    assert (file["checksum"], file["user_filesize"], file["file_state"]) == ("ADLER32:00000001", 7, "SUBMITTED")


@pytest.mark.parametrize(
    ("given", "checksum", "mode"),
    [
        (True, None, "b"),
        (False, None, "n"),
        (None, "ADLER32:1", "t"),
        (False, "MD5", "n"),
        ("both", None, "b"),
        ("source", None, "s"),
        ("none", "A:1", "n"),
    ],
)
def test_checksum_modes(given: object, checksum: str | None, mode: str) -> None:
    assert built(one_file({"verify_checksum": given}, checksum=checksum)).job["verify_checksum"] == mode


@pytest.mark.parametrize(
    ("params", "flag"),
    [
        ({}, None),
        ({"overwrite": True}, "Y"),
        ({"overwrite": "Y"}, "Y"),
        ({"overwrite_on_retry": True}, "R"),
        ({"overwrite_hop": True, "multihop": True}, "M"),
        ({"overwrite_when_only_on_disk": True, "archive_timeout": 9}, "D"),
        ({"overwrite_when_only_on_disk": True, "archive_timeout": 9, "overwrite_hop": True, "multihop": True}, "Q"),
    ],
)
def test_overwrite_flags(params: dict[str, Any], flag: str | None) -> None:
    assert built(one_file(params)).job["overwrite_flag"] == flag


def test_deterministic_ids_are_those_rucio_expects(store: Store) -> None:
    expected = str(uuid.uuid5(uuid.uuid5(submission.BASE_ID, "escape"), "request-1"))
    document = one_file({"id_generator": "deterministic", "sid": "request-1"})
    assert queued(store, document)["job_id"] == expected
    with pytest.raises(submission.Refused) as caught:
        queued(store, document)
    assert caught.value.status == 409
    assert len(store.files_of(expected)) == 1


def test_several_sources_are_one_file_and_the_strategy_picks_the_first() -> None:
    document = {"files": [{"sources": ["mock://a/f", "mock://b/f"], "destinations": ["mock://c/f"], "selection_strategy": "orderly"}]}
    made = built(document)
    assert made.job["job_type"] == states.REPLICAS
    assert [(file["source_se"], file["file_state"]) for file in made.files] == [("mock://a", "SUBMITTED"), ("mock://b", "NOT_USED")]
    document["files"][0]["selection_strategy"] = "auto"
    made = built(document, queued=lambda source, destination: 5 if source == "mock://a" else 0)
    assert made.files[0]["source_se"] == "mock://b"
    assert made.files[0]["file_state"] == "SUBMITTED"


def test_a_pin_or_a_bring_online_time_asks_for_staging() -> None:
    for params in ({"bring_online": 60}, {"copy_pin_lifetime": 60}):
        made = built(one_file(params))
        assert (made.job["job_state"], made.files[0]["file_state"]) == ("STAGING", "STAGING")


def test_tokens_are_named_by_a_hash_and_kept_apart_from_the_rows(tmp_path: Path) -> None:
    made = built(one_file(source_tokens=["secret-one"], destination_tokens=["secret-two"]))
    assert set(made.tokens.values()) == {"secret-one", "secret-two"}
    assert "secret" not in json.dumps([made.job, made.files])
    kept = credentials.Credentials(State(tmp_path))
    kept.keep_tokens(made.tokens)
    for path in kept.tokens.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept.forget_tokens({made.files[0]["src_token_id"]})
    assert [path.read_text() for path in kept.tokens.iterdir()] == ["secret-one"]


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job_type", "before", "files", "after"),
    [
        ("N", "SUBMITTED", ["SUBMITTED"], "SUBMITTED"),
        ("N", "SUBMITTED", ["ACTIVE", "SUBMITTED"], "ACTIVE"),
        ("N", "ACTIVE", ["FINISHED", "SUBMITTED"], "ACTIVE"),
        ("N", "ACTIVE", ["FINISHED", "FINISHED"], "FINISHED"),
        ("N", "ACTIVE", ["FINISHED", "FAILED"], "FINISHEDDIRTY"),
        ("N", "ACTIVE", ["FAILED", "CANCELED"], "FAILED"),
        ("N", "ACTIVE", ["CANCELED", "CANCELED"], "CANCELED"),
        ("N", "STAGING", ["STARTED", "STAGING"], "STAGING"),
        ("N", "STAGING", ["SUBMITTED"], "SUBMITTED"),
        ("N", "ACTIVE", ["ARCHIVING"], "ARCHIVING"),
        ("N", "SUBMITTED", ["ON_HOLD"], "SUBMITTED"),
        ("R", "ACTIVE", ["FAILED", "FINISHED"], "FINISHED"),
        ("R", "ACTIVE", ["FINISHED", "NOT_USED"], "FINISHED"),
        ("R", "ACTIVE", ["FAILED", "FAILED"], "FAILED"),
        ("H", "ACTIVE", ["FAILED", "NOT_USED"], "FAILED"),
        ("H", "ACTIVE", ["FINISHED", "SUBMITTED"], "ACTIVE"),
        ("H", "ACTIVE", ["FINISHED", "FINISHED"], "FINISHED"),
        ("H", "ACTIVE", ["CANCELED", "NOT_USED"], "CANCELED"),
    ],
)
def test_a_jobs_state_follows_from_its_files(job_type: str, before: str, files: list[str], after: str) -> None:
    assert states.job_state(job_type, before, files) == after


@pytest.mark.parametrize(
    ("job_type", "files", "following"),
    [
        ("N", ["FAILED", "NOT_USED"], None),
        ("R", ["ACTIVE", "NOT_USED"], None),
        ("R", ["FAILED", "NOT_USED"], 1),
        ("R", ["FINISHED", "NOT_USED"], None),
        ("R", ["CANCELED", "NOT_USED"], None),
        ("R", ["FAILED", "FAILED"], None),
        ("H", ["FINISHED", "NOT_USED", "NOT_USED"], 1),
        ("H", ["FAILED", "NOT_USED"], None),
    ],
)
def test_which_hop_or_source_is_next(job_type: str, files: list[str], following: int | None) -> None:
    rows = [{"file_id": number, "file_state": state} for number, state in enumerate(files)]
    assert states.next_in_line(job_type, rows) == following


def test_a_cancelled_file_stays_cancelled_whatever_its_transfer_reports(store: Store) -> None:
    job = queued(store, one_file())
    [file] = store.waiting(("SUBMITTED",))
    assert store.change(file["file_id"], ("SUBMITTED",), file_state="ACTIVE")
    assert (store.job(job["job_id"]) or {})["job_state"] == "ACTIVE"
    assert store.cancel_files(job["job_id"], None) == [file["file_id"]]
    assert not store.change(file["file_id"], ("ACTIVE",), file_state="FINISHED")
    assert not store.try_again(file, "TRANSFER [110] x", None, "here", 0)
    shown = shapes.job(store.job(job["job_id"]) or {})
    assert (shown["job_state"], shown["cancel_job"], shown["reason"]) == ("CANCELED", True, RECORDED["canceled"]["response"]["reason"])
    assert shown["job_finished"]


def test_a_failed_source_lets_the_next_one_start_and_a_failed_hop_none(store: Store) -> None:
    replicas = queued(store, {"files": [{"sources": ["mock://a/f", "mock://b/f"], "destinations": ["mock://c/f"]}]})
    hops = queued(store, {"files": [*one_file()["files"], *one_file()["files"]], "params": {"multihop": True}})
    for job in (replicas, hops):
        first = store.files_of(job["job_id"])[0]
        store.change(first["file_id"], ("SUBMITTED",), file_state="ACTIVE")
        store.change(first["file_id"], ("ACTIVE",), file_state="FAILED", reason="SOURCE [2] x")
    assert [file["file_state"] for file in store.files_of(replicas["job_id"])] == ["FAILED", "SUBMITTED"]
    assert (store.job(replicas["job_id"]) or {})["job_finished"] is None
    assert [file["file_state"] for file in store.files_of(hops["job_id"])] == ["FAILED", "NOT_USED"]
    assert (store.job(hops["job_id"]) or {})["job_state"] == "FAILED"
    assert (store.job(hops["job_id"]) or {})["reason"] == states.SOME_FAILED


def test_retries_count_and_wait(store: Store) -> None:
    job = queued(store, one_file({"retry": 1, "retry_delay": 60}))
    [file] = store.waiting(("SUBMITTED",))
    store.change(file["file_id"], ("SUBMITTED",), file_state="ACTIVE")
    assert store.try_again(file, "TRANSFER [110] Connection timed out", "log", "here", time.time() + 60)
    [again] = store.waiting(("SUBMITTED",))
    assert again["retry"] == 1
    assert store.waiting(("SUBMITTED",), due=time.time()) == []
    [retry] = store.retries_of(file["file_id"])
    assert set(shapes.retry(retry, again)) == set(RECORDED["retries"]["response"][0])
    assert retry["attempt"] == 1
    assert (store.job(job["job_id"]) or {})["job_finished"] is None


def test_a_crash_puts_back_what_may_be_overwritten_and_fails_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path / "fts.db")
    again, never = queued(store, one_file({"overwrite": True})), queued(store, one_file())
    for file in store.waiting(("SUBMITTED",)):
        store.change(file["file_id"], ("SUBMITTED",), file_state="ACTIVE", pid=1)
    store.close()
    store = Store(tmp_path / "fts.db")
    assert len(store.recover()) == 1
    assert store.files_of(again["job_id"])[0]["file_state"] == "SUBMITTED"
    [dead] = store.files_of(never["job_id"])
    assert (dead["file_state"], dead["reason"].split("] ")[1]) == ("FAILED", reasons.DIED)
    assert (store.job(never["job_id"]) or {})["job_state"] == "FAILED"


def test_jobs_are_forgotten_after_a_week(store: Store) -> None:
    job = queued(store, one_file())
    waiting = queued(store, one_file())
    [file] = store.files_of(job["job_id"])
    store.change(file["file_id"], ("SUBMITTED",), file_state="FAILED", log_file="day/log")
    assert store.prune(time.time() + KEPT_SECONDS - 10) == []
    assert store.prune(time.time() + KEPT_SECONDS + 10) == ["day/log"]
    assert store.job(job["job_id"]) is None
    assert store.files_of(job["job_id"]) == []
    assert store.job(waiting["job_id"]) is not None


def test_one_long_queue_does_not_hide_the_others_from_a_plan(store: Store) -> None:
    queued(
        store, {"files": [{"sources": [f"mock://a/{n}"], "destinations": [f"mock://b/{n}"]} for n in range(500)], "params": {"priority": 5}}
    )
    queued(store, one_file())
    due = store.waiting(("SUBMITTED",), due=time.time())
    assert len(due) < 20
    assert {file["dest_se"] for file in due} == {"mock://b", "mock://b.test"}


def test_jobs_are_listed_as_fts_lists_them(store: Store) -> None:
    done, waiting = queued(store, one_file()), queued(store, one_file())
    [file] = store.files_of(done["job_id"])
    store.change(file["file_id"], ("SUBMITTED",), file_state="FINISHED")

    def ids(**filters: Any) -> list[str]:
        return [job["job_id"] for job in store.jobs(equal={}, **filters)]

    assert ids() == [waiting["job_id"]]
    assert ids(state_in=["FINISHED"]) == []
    assert ids(state_in=["FINISHED"], window=3600) == [done["job_id"]]
    assert set(ids(state_in=["FINISHED", "SUBMITTED"], limit=5)) == {done["job_id"], waiting["job_id"]}
    assert store.jobs(equal={"user_dn": "/CN=bob"}) == []


# -- bans --------------------------------------------------------------------------------------------------------------


def test_a_banned_storage_refuses_or_holds(store: Store) -> None:
    store.ban("se", "mock://a.test", vo="escape", status="WAIT", message="downtime", admin_dn=ROBOT, wait_until=None)
    with pytest.raises(submission.Refused) as caught:
        bans.apply(store, built(one_file()))
    assert (caught.value.status, caught.value.message) == (403, "mock://a.test is banned")
    store.ban("se", "mock://a.test", vo="escape", status="WAIT_AS", message="", admin_dn=ROBOT, wait_until=None)
    made = built(one_file())
    bans.apply(store, made)
    assert made.files[0]["file_state"] == "ON_HOLD"
    assert store.unban("se", "mock://a.test")
    assert not store.unban("se", "mock://a.test")


def test_a_ban_can_name_the_port_because_all_storages_are_on_one_host(store: Store) -> None:
    hit = queued(store, one_file(sources=["davs://localhost:1/f"]))
    queued(store, one_file(sources=["davs://localhost:2/f"]))
    assert bans.cancel_waiting(store, "davs://localhost:1") == [hit["job_id"]]
    assert len(store.waiting(("SUBMITTED",))) == 1


# -- links -------------------------------------------------------------------------------------------------------------


def test_urls_are_known_by_rse(lake: tuple[State, Facts]) -> None:
    state, facts = lake
    table = links.Links(state, facts)
    port = facts.ports
    assert table.endpoint(f"davs://localhost:{port['in2p3-davs']}/data/escape-qos-safe/x") == "IN2P3-QOS-SAFE"
    assert table.endpoint(f"root://localhost:{port['in2p3-root']}//data/escape-qos-cheap-analysis/x") == "IN2P3-QOS-CHEAP"
    assert table.endpoint(f"roots://localhost:{port['gsi-root-root']}//data/escape/x") == "GSI-ROOT"
    gridftp = f"gsiftp://localhost:{port['desy-gridftp-gsiftp']}{state.data(topology.server('desy-gridftp'))}/data/escape/x"
    assert table.endpoint(gridftp) == "DESY-DCACHE"
    assert table.endpoint(f"davs://localhost:{port['in2p3-davs']}/elsewhere/x") == f"davs://localhost:{port['in2p3-davs']}"
    assert table.endpoint("davs://other.test/data/escape/x") == "davs://other.test"


def test_slow_links_are_paced_one_way(lake: tuple[State, Facts]) -> None:
    table = links.Links(*lake)
    for slow in topology.SLOW_LINKS:
        assert table.pace(slow.source, slow.destination) == links.Pace(1, slow.seconds)
        assert table.pace(slow.destination, slow.source) == links.Pace()


@pytest.mark.parametrize(
    ("source", "destination", "direct"),
    [
        ("davs", "davs", True),
        ("davs", "https", True),
        ("root", "root", True),
        ("root", "roots", True),
        ("gsiftp", "gsiftp", True),
        ("davs", "root", False),
        ("root", "davs", False),
        ("gsiftp", "davs", False),
        ("srm", "srm", False),
        ("file", "davs", False),
    ],
)
def test_which_pairs_copy_directly(source: str, destination: str, direct: bool) -> None:
    assert links.third_party(f"{source}://a/f", f"{destination}://b/f") is direct


def test_what_a_child_is_told(store: Store) -> None:
    def order(params: Mapping[str, Any], *, last: bool = True, retry: int = 0, **file: Any) -> dict[str, Any]:
        queued(store, one_file(params, **file))
        return orders.copy({**store.waiting(("SUBMITTED",))[-1], "retry": retry}, {}, last=last)

    assert order({"overwrite": True, "verify_checksum": "both"}, checksum="ADLER32:1")["verify"] == "both"
    assert not order({})["overwrite"]
    assert not order({"overwrite_on_retry": True})["overwrite"]
    assert order({"overwrite_on_retry": True}, retry=1)["overwrite"]
    assert order({"overwrite_hop": True, "multihop": True}, last=False)["overwrite"]
    assert not order({"overwrite_hop": True, "multihop": True}, last=True)["overwrite"]
    told = order({"strict_copy": True, "timeout": 7, "nostreams": 3})
    assert (told["strict"], told["timeout"], told["streams"]) == (True, 7, 3)


# -- credentials -------------------------------------------------------------------------------------------------------


def test_nobodys_job_runs_with_somebody_elses_proxy(tmp_path: Path) -> None:
    state = State(tmp_path)
    kept = credentials.Credentials(state)
    state.proxy("robot").parent.mkdir(parents=True)
    state.proxy("robot").write_text("robot's")
    file = {"source_surl": "davs://a/f", "dest_surl": "davs://b/f", "src_token_id": None, "dst_token_id": None, "of_cred_id": "a" * 16}
    assert kept.of({**file, "of_user_dn": ROBOT}).proxy == state.proxy("robot")
    with pytest.raises(credentials.NoCredential):
        kept.of({**file, "of_user_dn": "/CN=alice"})
    with pytest.raises(credentials.NoCredential):
        kept.of({**file, "of_user_dn": ROBOT, "src_token_id": "gone"})
    credentials.write_secret(kept.delegated("a" * 16), b"alice's")
    mine = kept.of({**file, "of_user_dn": "/CN=alice"})
    assert mine.proxy == kept.delegated("a" * 16)
    assert stat.S_IMODE(mine.proxy.stat().st_mode) == 0o600
    assert kept.current(mine)
    credentials.write_secret(mine.proxy, b"alice's, renewed")
    assert not kept.current(mine)
    assert kept.of({**file, "of_user_dn": "/CN=alice"}) != mine


def test_a_child_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("X509_USER_PROXY", "BEARER_TOKEN", "LD_PRELOAD", "PYTHONPATH"):
        monkeypatch.setenv(name, "mine")
    made = workers.environment(workers.Credential("none", ""), certificates=tmp_path / "ca", home=tmp_path, server_name="localhost")
    assert not {"BEARER_TOKEN", "BEARER_TOKEN_FILE", "LD_PRELOAD", "PYTHONPATH"} & set(made)
    assert not Path(made["X509_USER_PROXY"]).exists()
    assert made["X509_CERT_DIR"] == str(tmp_path / "ca")
    assert (made["XrdSecGSIDELEGPROXY"], made["XrdSecGSISRVNAMES"]) == ("2", "localhost")
    made = workers.environment(workers.Credential("a", "1", tmp_path / "p"), certificates=tmp_path, home=tmp_path, server_name="localhost")
    assert made["X509_USER_PROXY"] == str(tmp_path / "p")


def test_logs_hold_no_secret_and_are_read_from_their_directory_only(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("private")
    directory = tmp_path / "logs"
    file = {"source_surl": "davs://a:1/f", "dest_surl": "root://b:2//f", "file_id": 1, "job_id": "j"}
    log = logs.TransferLog(directory, file, 0)
    log.line("Source url: root://a//f?authz=Bearer%20eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln")
    log.close()
    assert log.name == "1970-01-01/a_1__b_2/1970-01-01-0000__a_1__b_2__1__j"
    text = logs.read(directory, log.name) or ""
    assert "authz=Bearer%20***" in text
    assert "eyJ" not in text
    assert logs.read(directory, "../outside") is None
    logs.remove(directory, log.name)
    assert logs.read(directory, log.name) is None
    assert list(directory.iterdir()) == []


# -- everything that needs flask, cryptography and gfal2 -----------------------------------------------------------------


def test_flows_of_the_stand_in(tmp_path: Path) -> None:
    lakes.run_flows("fts_flows.py", tmp_path, least=25, seconds=300)
