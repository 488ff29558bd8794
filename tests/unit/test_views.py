"""What the four views say of rows: words, sentences, records."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qostui.domain import states
from qostui.domain.credential import Credential, Proof
from qostui.domain.request import FtsFile, Request, Totals
from qostui.domain.rse import Door, Rse
from qostui.domain.rule import Rule
from qostui.domain.table import View
from qostui.services.session import VIEWS, view
from qostui.services.views import credentials, requests, rses, rules

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rule(state: str, **values: object) -> Rule:
    return Rule(
        id="5f2c", scope="fair", name="raw", did_type="DATASET", account="fair", state=state, rse_expression="QOS=SAFE", copies=3, **values
    )  # type: ignore[arg-type]


def cells(chosen: View, row: object) -> dict[str, str]:  # type: ignore[type-arg]
    return {column.id: str(column.text(row, NOW)) for column in chosen.columns}


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (
            rule("STUCK", locks_ok_cnt=71, locks_replicating_cnt=11, locks_stuck_cnt=18, error="RequestErrMsg.TRANSFER_FAILED:no space"),
            {"state": "✖ STUCK", "copies": "2 of 3", "progress": "█████▋░░  71 %", "why": "no space (18 files)"},
        ),
        (rule("REPLICATING", locks_replicating_cnt=1), {"state": "● REPLICATING", "why": "1 file on the way"}),
        (rule("REPLICATING"), {"why": "being placed", "progress": "░░░░░░░░"}),
        (rule("WAITING_APPROVAL", bytes=4 * 10**12), {"state": "◆ APPROVAL?", "why": "waits for approval: 4.0 TB"}),
        (rule("SUSPENDED"), {"state": "‖ SUSPENDED"}),
        (
            rule("OK", locks_ok_cnt=9, expires_at=datetime(2026, 12, 20, tzinfo=UTC)),
            {"copies": "3 of 3", "why": "until 2026-12-20", "progress": "████████ 100 %"},
        ),
        (rule("OK"), {"why": "", "progress": "████████ 100 %"}),
        (rule("STUCK"), {"why": "stuck before any file was placed"}),
        (rule("REPLICATING", locks_ok_cnt=999, locks_replicating_cnt=1), {"progress": "███████▉  99 %"}),
        (rule("NEWSTATE"), {"state": "? NEWSTATE"}),
    ],
)
def test_rules(row: Rule, shown: dict[str, str]) -> None:
    assert cells(rules.VIEW, row).items() >= shown.items()


def test_rule_records_have_rucios_field_names() -> None:
    record = rules.VIEW.record(rule("STUCK", error="x", created_at=NOW, bytes=5))
    assert record.items() >= {"state": "STUCK", "error": "x", "locks_ok_cnt": 0, "bytes": 5, "created_at": "2026-11-22T12:00:00Z"}.items()


def test_urgency_is_the_webuis() -> None:
    order = [rule("STUCK", locks_stuck_cnt=9), rule("STUCK"), rule("REPLICATING", locks_replicating_cnt=7), rule("REPLICATING"), rule("OK")]
    assert sorted(order, key=lambda each: -each.urgency) == order


def test_a_door_that_offers_nothing_is_marked_as_catalogue_only() -> None:
    doors = (Door("davs", "h", 1094, "/d/", wan=(1, 1, 1)), Door("roots", "h", 1095, "/d/"))
    rse = Rse("GSI-ROOT", "DISK", "", True, False, True, free=10**9, used=0, total=40 * 10**9, doors=doors)
    shown = cells(rses.VIEW, rse)
    assert shown["doors"] == "davs (roots)"
    assert shown["availability"] == "r-d"
    assert shown["qos"] == "-"
    facts = "\n".join(f"{fact.label} {fact.value}" for fact in rses.VIEW.detail(rse, NOW))
    assert "no QOS attribute" in facts
    assert "write OFF" in facts
    assert rses.VIEW.record(rse)["doors"][1]["url"] == "roots://h:1095/d/"


def test_transfers_prefer_what_fts_says() -> None:
    failed = Request(
        "1", "SUBMITTED", "A", "B", err_msg="RequestErrMsg.OTHER:x", fts=FtsFile("FAILED", "FAILED", "DESTINATION [13] Permission denied")
    )
    assert cells(requests.VIEW, failed).items() >= {"fts": "✖ FAILED", "why": "DESTINATION [13] Permission denied", "link": "A → B"}.items()
    unasked = Request("1", "SUBMITTED", "A", "B", fts_problem="FTS not asked: the profile has no certificate")
    assert cells(requests.VIEW, unasked).items() >= {"fts": "? no answer", "why": "FTS not asked: the profile has no certificate"}.items()


def test_links_show_their_totals_below_the_requests() -> None:
    link = Request("link A B", "LINK", "A", "B", totals=Totals(queued=212, queued_bytes=10**12, done_1h=5, failed_1h=2))
    assert "212 queued" in cells(requests.VIEW, link)["why"]
    assert cells(requests.VIEW, link)["size"] == "1.0 TB"
    assert requests.VIEW.record(link)["metrics"]["files"]["queued-total"] == 212
    state = requests.VIEW.column("state")
    assert state.sort(link) < min(state.sort(Request("1", kind.word, "A", "B")) for kind in states.REQUEST.values())
    assert state.style is not None
    assert state.style(link, NOW) == "state-stuck"


def test_credentials_count_down() -> None:
    row = Credential(
        "2 proxy ac0", "VOMS AC", "/escape/Role=operator", "in the proxy", NOW + timedelta(minutes=52), NOW - timedelta(hours=11)
    )
    assert cells(credentials.VIEW, row)["left"] == "▍░░░░ 52 m ▲"
    assert cells(credentials.VIEW, replace(row, ends_before="the proxy"))["left"].endswith("52 m ▲ ends first")
    assert cells(credentials.VIEW, row)["kind"] == " └ VOMS AC"
    gone = Credential("1", "X.509 proxy", "x", "y", NOW - timedelta(hours=3))
    assert "expired 3 h ago" in cells(credentials.VIEW, gone)["left"]
    session = Credential("1", "Rucio session", "x", "y", NOW + timedelta(minutes=30), renews=True)
    assert cells(credentials.VIEW, session)["left"] == "██▌░░ 30 m renews"


@pytest.mark.parametrize(
    ("later", "style"),
    [(0, ""), (2.5, "state-replicating"), (3, "state-stuck"), (5, "state-stuck")],
)
def test_the_colour_of_the_time_left_goes_by_the_moment_that_is_painted(later: float, style: str) -> None:
    row = Credential("2 proxy", "X.509 proxy", "x", "y", NOW + timedelta(hours=3))
    left = credentials.VIEW.column("left")
    assert left.style is not None
    assert left.style(row, NOW + timedelta(hours=later)) == style


def proof(where: str, reason: str = "") -> Proof:
    return Proof(where, not reason, NOW - timedelta(minutes=2), reason)


@pytest.mark.parametrize(
    ("values", "shown", "style"),
    [
        ({"proofs": (proof("whoami"),)}, "whoami ✔", "state-ok"),
        ({"proofs": tuple(proof(f"RSE-{number} davs") for number in range(5))}, "5 doors ✔", "state-ok"),
        (
            {"proofs": (proof("A davs"), proof("A roots", "audience is https://a, the door wants https://b"))},
            "A davs ✔  A roots ✖ audience is https://a, the door wants https://b",
            "state-replicating",
        ),
        (
            {"proofs": (proof("whoami"), proof("A davs"), proof("B davs"), proof("A root", "no"), proof("B root", "no"))},
            "whoami ✔  2 doors ✔  2 doors ✖ no",
            "state-replicating",
        ),
        ({"proofs": (proof("whoami", "refused"),)}, "whoami ✖ refused", "state-replicating"),
        (
            {"problem": "can be read by others (mode 0644)", "proofs": (proof("whoami"),)},
            "✖ can be read by others (mode 0644)",
            "state-stuck",
        ),
        ({"note": "signature not verified"}, "signature not verified", "muted"),
    ],
)
def test_credentials_say_who_took_them(values: dict[str, object], shown: str, style: str) -> None:
    row = Credential("1", "Access token", "x", "y", **values)  # type: ignore[arg-type]
    column = credentials.VIEW.column("proven by")
    assert column.text(row, NOW) == shown
    assert column.style is not None
    assert column.style(row, NOW) == style


def test_the_detail_of_a_credential_says_everything() -> None:
    row = Credential(
        "2 proxy ac0", "VOMS AC", "/escape/Role=operator", "in the proxy", NOW + timedelta(minutes=52), NOW - timedelta(hours=11),
        subject="/DC=test/CN=alice", issuer="voms", scopes=("storage.read:/",), audience=("any",), groups=("/escape/Role=operator",),
        chain=("/DC=test/CN=alice", "/DC=test/CN=CA"), serial="1f", note="a note", facts=(("client", "console"),), vo="escape",
        proofs=(proof("GSI-ROOT davs"), proof("GSI-ROOT roots", "audience")), actions=("voms",), ends_before="the proxy",
    )  # fmt: skip
    said = "\n".join(f"{fact.label} {fact.value}" for fact in credentials.VIEW.detail(row, NOW))
    parts = (
        "/DC=test/CN=alice", "in the proxy", "52 m", "made for 11 h", "ends before the proxy", "issuer voms", "VO escape", "FQANs",
        "/escape/Role=operator", "storage.read:/", "any", "GSI-ROOT davs ✔ accepted   2 m ago", "GSI-ROOT roots ✖ audience   2 m ago",
        "client console", "a note", "1f", "make a VOMS proxy",
    )  # fmt: skip
    assert [part for part in parts if part not in said] == []


def test_the_record_of_a_credential_names_what_programs_ask_for() -> None:
    row = Credential(
        "4 token",
        "Access token",
        "alice",
        "oidc-agent account wlcg",
        datetime.now(UTC) + timedelta(seconds=600),
        subject="alice",
        issuer="https://op/",
        scopes=("storage.read:/",),
        audience=("any",),
        proofs=(proof("whoami"), proof("A roots", "audience")),
    )
    record = credentials.VIEW.record(row)
    assert {"kind", "subject", "issuer", "expires_at", "seconds_left", "scopes", "audience", "source", "usable_at"} <= set(record)
    assert record["usable_at"] == ["whoami"]
    assert 0 < record["seconds_left"] <= 600
    assert credentials.VIEW.record(Credential("5", "Pass word", "ops", "file"))["seconds_left"] is None
    assert credentials.VIEW.record(replace(row, expires=NOW - timedelta(days=900)))["seconds_left"] == 0


def test_every_view_is_complete() -> None:
    for each in VIEWS:
        assert view(each.id) is each
        assert all(view(alias) is each for alias in each.aliases)
        ids = [column.id for column in each.columns]
        letters = [column.letter for column in each.columns]
        assert len(set(ids)) == len(ids)
        assert len(set(letters)) == len(letters)
        assert all(name in ids for name, _ in each.order)
        assert sum(column.width is None for column in each.columns) == 1
        # What is always shown leaves room for the last column at 80 cells.
        assert sum((column.width or 0) + 1 for column in each.columns if column.priority == 1) <= 70
    with pytest.raises(KeyError):
        view("nothing")


def test_records_are_json() -> None:
    rows = (
        rule("OK"),
        Rse("A", "DISK", "SAFE", True, True, True),
        Request("1", "QUEUED", "A", "B"),
        Credential("1", "Pass word", "ops", "file"),
    )
    for each, row in zip((rules.VIEW, rses.VIEW, requests.VIEW, credentials.VIEW), rows, strict=True):
        assert json.loads(json.dumps(each.record(row)))


def test_states_know_letters_and_words() -> None:
    assert states.kind(states.RULE, "S").word == "STUCK"
    assert states.kind(states.REQUEST, "SUBMITTED").letter == "S"
    assert "".join(kind.letter for kind in states.RULE.values()) == "SUWIRO"
    assert states.rank(states.REQUEST, "FAILED") > states.rank(states.REQUEST, "QUEUED")
    assert states.rank(states.REQUEST, "BRAND_NEW") > states.rank(states.REQUEST, "FAILED")
