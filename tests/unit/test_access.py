"""What works where, told offline: a table of cases as an operator meets them, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.domain import access
from qostui.domain.access import CREATE, FAMILIES, MODIFY, NO, READ, SCHEMES, STAGE, UNKNOWN, YES, Access, matrix, reach, verdict
from qostui.domain.credential import Credential, Proof
from qostui.domain.rse import Door, Rse
from qostui.services.views.access import VIEW

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAVS = Door("davs", "b", 8443, "/data/x/")
ROOT = Door("root", "b", 1094, "//data/x/")
ROOTS = Door("roots", "b", 1094, "//data/x/")
GSIFTP = Door("gsiftp", "b", 2811, "/data/x/")
SUPPORT = (("oidc_support", "true"),)
BASE = (*SUPPORT, ("oidc_base_path", "/data"))
ANY = "https://wlcg.cern.ch/jwt/v1/any"
PROXY = Credential("2 proxy", "X.509 proxy", "/CN=alice", "/p", expires=NOW + 9 * HOUR + timedelta(minutes=1), not_before=NOW - HOUR)
AC = Credential("2 proxy ac0", "VOMS AC", "/escape", "in the proxy", expires=NOW + HOUR, not_before=NOW - HOUR)
WLCG = (("WLCG profile", "1.0"), ("algorithm", "ES256"))
TOKEN = Credential(
    "4 token",
    "Access token",
    "alice",
    "/t",
    expires=NOW + HOUR,
    not_before=NOW - HOUR,
    issuer="https://iam/",
    scopes=("openid", "storage.read:/x"),
    audience=("https://b:8443",),
    facts=WLCG,
)


def rse(*doors: Door, attributes: tuple[tuple[str, str], ...] = ()) -> Rse:
    return Rse("A", "DISK", "SAFE", True, True, True, doors=doors or (DAVS, ROOT, ROOTS, GSIFTP), attributes=attributes)


def token(**changes: object) -> Credential:
    return replace(TOKEN, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("door", "attributes", "credential", "acs", "answer", "reason", "step"),
    [
        # What the scheme takes
        (GSIFTP, BASE, TOKEN, (), NO, "GridFTP takes no tokens", "use davs on the same RSE"),
        (ROOT, BASE, TOKEN, (), UNKNOWN,
         "a token goes over TLS only: taken where client and server turn to TLS", "use roots on the same RSE"),
        (ROOTS, BASE, TOKEN, (), YES, "", ""),
        (DAVS, BASE, TOKEN, (), YES, "", ""),
        (DAVS, (), PROXY, (AC,), YES, "", ""),
        (ROOT, (), PROXY, (AC,), YES, "", ""),
        (GSIFTP, (), PROXY, (AC,), YES, "", ""),
        (ROOTS, (), PROXY, (AC,), UNKNOWN, "roots is for tokens; only some servers take X.509 there too", ""),
        (Door("s3", "b", 443, "/"), (), PROXY, (AC,), UNKNOWN, "the scheme s3 is not known here", ""),
        (DAVS, (), Credential("5 password", "Pass word", "ops", "file"), (), NO, "Pass word: does not log in to storage", None),
        # Clocks
        (DAVS, (), replace(PROXY, expires=NOW - 3 * HOUR), (AC,), NO, "expired 3 h ago", "make a new proxy"),
        (DAVS, (), replace(PROXY, not_before=NOW + HOUR), (AC,), NO, "not valid before 2026-11-25 13:00:00Z", None),
        (
            DAVS, (), PROXY, (replace(AC, expires=NOW - timedelta(minutes=5)),), NO,
            "AC expired 5 m ago though the proxy has 9 h 01 m left", "make a new VOMS proxy",
        ),
        (DAVS, (), PROXY, (replace(AC, not_before=NOW + HOUR),), NO, "AC not valid before 2026-11-25 13:00:00Z", None),
        (DAVS, (), PROXY, (), UNKNOWN, "carries no VOMS attributes: storages that ask for the VO refuse it", "make a VOMS proxy"),
        (DAVS, BASE, token(expires=NOW), (), NO, "expired 0 s ago", "get a new token"),
        (DAVS, BASE, token(not_before=NOW + HOUR), (), NO, "not valid before 2026-11-25 13:00:00Z", None),
        # What cannot be used
        (DAVS, (), Credential("2 proxy", "X.509 proxy", "", "/p", problem="the proxy /p: No such file"), (), NO,
         "the proxy /p: No such file", None),
        (DAVS, (), replace(PROXY, problem="the VOMS extension cannot be read"), (), UNKNOWN, "the VOMS extension cannot be read", None),
        (DAVS, BASE, token(facts=(("algorithm", "none"),)), (), NO, "the token is not signed (alg none)", None),
        (DAVS, BASE, Credential("4 token", "Access token", "", "/t", note="opaque"), (), UNKNOWN,
         "the token is opaque: nothing can be read from it", None),
        # What the RSE says of tokens
        (DAVS, (("oidc_support", "false"),), TOKEN, (), NO, "the RSE attribute oidc_support is false", "use an X.509 proxy over davs"),
        (DAVS, (("oidc_support", "False"),), TOKEN, (), NO, "the RSE attribute oidc_support is false", "use an X.509 proxy over davs"),
        (DAVS, BASE, token(facts=()), (), UNKNOWN, "the token names no wlcg.ver: storages may not read its scopes", None),
        # Audience
        (
            DAVS, BASE, token(audience=("https://a",)), (), NO,
            "audience is https://a, the door wants https://b:8443", "get a token with audience https://b:8443",
        ),
        (DAVS, BASE, token(audience=("https://b:8444",)), (), NO, "audience is https://b:8444, the door wants https://b:8443", None),
        (DAVS, BASE, token(audience=("rucio",)), (), NO, "audience is rucio, the door wants https://b:8443", None),
        (DAVS, BASE, token(audience=("rucio", "https://B:8443/")), (), YES, "", ""),
        (DAVS, BASE, token(audience=("b:8443",)), (), YES, "", ""),
        (DAVS, BASE, token(audience=("b",)), (), YES, "", ""),
        (DAVS, (), token(audience=("b",), scopes=("storage.read:/",)), (), UNKNOWN,
         "the audience names the host only, the door may want https://b:8443", None),
        (DAVS, BASE, token(audience=(ANY,)), (), YES, "", ""),
        (DAVS, (), token(audience=(ANY,), scopes=("storage.read:/",)), (), UNKNOWN,
         "good for any audience, but the RSE has no attribute oidc_support", None),
        (DAVS, BASE, token(audience=()), (), UNKNOWN, "the token names no audience", "get a token with audience https://b:8443"),
        (Door("davs", "b", 443, "/data/x"), BASE, token(audience=("https://b",)), (), YES, "", ""),
        (Door("davs", "::1", 8443, "/data/x"), BASE, token(audience=("https://[::1]:8443",)), (), YES, "", ""),
        (DAVS, BASE, token(audience=("https://b:port",)), (), NO, "audience is https://b:port, the door wants https://b:8443", None),
        # Scopes
        (DAVS, (), token(scopes=("storage.read:/escape",)), (), NO, "scope storage.read:/escape does not cover /data/x",
         "get a token with scope storage.read:/data/x"),
        (DAVS, BASE, token(scopes=("storage.read:/y", "storage.stage:/z")), (), NO,
         "scopes storage.read:/y, storage.stage:/z do not cover /data/x", "get a token with scope storage.read:/x"),
        (DAVS, (), TOKEN, (), UNKNOWN, "scope storage.read:/x covers /data/x only where the issuer's paths begin above it", None),
        (DAVS, (), token(scopes=("storage.read:/",)), (), YES, "", ""),
        (DAVS, SUPPORT, token(scopes=("storage.read:/data",)), (), YES, "", ""),
        (DAVS, SUPPORT, token(scopes=("storage.read:/x",)), (), NO, "scope storage.read:/x does not cover /data/x", None),
        (DAVS, BASE, token(scopes=("storage.read:/x/run1",)), (), UNKNOWN,
         "scope storage.read:/x/run1 covers a part of /data/x only", None),
        (DAVS, BASE, token(scopes=("storage.stage:/x",)), (), YES, "", ""),
        (DAVS, BASE, token(scopes=("storage.create:/",)), (), NO,
         "no scope to read (storage.read)", "get a token with scope storage.read:/x"),
        (DAVS, BASE, token(scopes=("openid",), groups=("/escape",)), (), UNKNOWN,
         "no scope storage.read: the storage may go by the token's groups", None),
        (DAVS, BASE, token(scopes=("storage.read",)), (), NO, "scope storage.read does not cover /data/x", None),
        (DAVS, BASE, token(scopes=("read:/",), facts=()), (), YES, "", ""),
    ],
)  # fmt: skip
def test_what_is_told_offline(
    door: Door,
    attributes: tuple[tuple[str, str], ...],
    credential: Credential,
    acs: tuple[Credential, ...],
    answer: str,
    reason: str,
    step: str | None,
) -> None:
    doors = (door,) if door not in (DAVS, ROOT, ROOTS, GSIFTP) else ()
    said = verdict(rse(*doors, attributes=attributes), door, credential, NOW, attributes=acs)
    assert (said.answer, said.reason) == (answer, reason)
    assert step is None or said.step == step


@pytest.mark.parametrize(
    ("operation", "scope", "answer"),
    [
        (READ, "storage.read", YES), (READ, "storage.stage", YES), (READ, "storage.modify", NO), (READ, "storage.create", NO),
        (CREATE, "storage.create", YES), (CREATE, "storage.modify", YES), (CREATE, "storage.read", NO),
        (MODIFY, "storage.modify", YES), (MODIFY, "storage.create", NO), (STAGE, "storage.stage", YES), (STAGE, "storage.read", NO),
    ],
)  # fmt: skip
def test_each_operation_has_its_scopes(operation: str, scope: str, answer: str) -> None:
    said = verdict(rse(attributes=BASE), DAVS, token(scopes=(f"{scope}:/",)), NOW, operation=operation)
    assert said.answer == answer


def test_a_refusal_names_what_would_work_on_that_rse() -> None:
    assert verdict(rse(GSIFTP, ROOTS), GSIFTP, TOKEN, NOW).step == "use roots on the same RSE"
    assert verdict(rse(GSIFTP), GSIFTP, TOKEN, NOW).step == "use an X.509 proxy there"


def test_a_root_door_takes_no_token_unless_its_server_speaks_tls_too() -> None:
    said = verdict(rse(ROOT, DAVS, attributes=BASE), ROOT, TOKEN, NOW)
    assert (said.answer, said.reason, said.step) == (NO, "root takes no tokens, which go over TLS only", "use davs on the same RSE")
    assert verdict(rse(ROOT, replace(ROOTS, port=1095), attributes=BASE), ROOT, TOKEN, NOW).step == "use roots on the same RSE"
    assert verdict(rse(ROOT, ROOTS, DAVS, attributes=BASE), ROOT, TOKEN, NOW).answer == UNKNOWN


def test_the_roots_door_has_the_audience_of_the_https_door_of_its_storage() -> None:
    storage = rse(ROOTS, DAVS, attributes=BASE)
    assert verdict(storage, ROOTS, TOKEN, NOW).answer == YES
    assert verdict(rse(ROOTS, replace(DAVS, hostname="c"), attributes=BASE), ROOTS, TOKEN, NOW).answer == NO


def test_the_matrix_has_a_row_for_each_door_and_speaking_credential() -> None:
    session = Credential("1 session", "Rucio session", "ops", "log-in")
    rows = matrix([rse(), replace(rse(GSIFTP), name="B")], [session, PROXY, AC, TOKEN], NOW)
    assert len(rows) == len({row.key for row in rows}) == (4 + 1) * 2
    assert {row.credential for row in rows} == {"2 proxy", "4 token"}
    assert [row.answer for row in rows if row.rse == "B"] == [YES, NO]


paths = st.lists(st.sampled_from(["a", "ab", "b", "data", "x y"]), max_size=4).map(tuple)


def joined(parts: tuple[str, ...]) -> str:
    return "/" + "/".join(parts)


@given(paths, paths)
def test_a_scope_covers_its_path_and_what_is_below_and_nothing_else(granted: tuple[str, ...], below: tuple[str, ...]) -> None:
    assert reach(joined(granted), joined((*granted, *below)), "") == "all"
    beside = (*granted[:-1], granted[-1] + "x") if granted else ()
    assert not granted or reach(joined(granted), joined((*beside, *below)), "") == "none"


@given(paths, paths, paths)
def test_what_is_told_of_an_unknown_base_holds_for_each_base(
    granted: tuple[str, ...], base: tuple[str, ...], inside: tuple[str, ...]
) -> None:
    door = joined((*base, *inside))
    unknown, known = reach(joined(granted), door, None), reach(joined(granted), door, joined(base))
    assert unknown != "all" or known == "all"
    # A door that is the base itself is left out: every scope would be a part of it.
    assert unknown != "none" or known == "none" or not inside


@given(paths, st.text(max_size=30))
def test_scopes_that_climb_or_are_no_path_cover_nothing(door: tuple[str, ...], text: str) -> None:
    for path in (f"/a/../{text}", "/%2e%2e/", f"relative/{text}", ""):
        assert reach(path, joined(door), None) == "none"


texts = st.text(max_size=20)
anything = st.builds(
    Credential,
    id=texts,
    kind=st.sampled_from([*FAMILIES, "VOMS AC", "Pass word", "Rucio session", "?"]),
    who=texts,
    source=texts,
    expires=st.none() | st.datetimes(timezones=st.just(UTC)),
    not_before=st.none() | st.datetimes(timezones=st.just(UTC)),
    scopes=st.lists(st.sampled_from(["storage.read:/", "storage.read", "storage.create:/x"]) | texts, max_size=3).map(tuple),
    audience=st.lists(st.sampled_from([ANY, "https://b:8443", "b", "http://[", "//"]) | texts, max_size=3).map(tuple),
    groups=st.lists(texts, max_size=1).map(tuple),
    problem=st.sampled_from(["", "expired", "broken"]),
    issuer=texts,
)
doors = st.builds(
    Door,
    scheme=st.sampled_from([*SCHEMES, "s3"]),
    hostname=st.sampled_from(["b", "B", "::1", ""]) | texts,
    port=st.integers(0, 70000),
    prefix=texts | st.sampled_from(["/data/x", "//data/x/", ""]),
)
attributes = st.lists(
    st.tuples(st.just("oidc_support"), st.sampled_from(["true", "True", "false", "maybe"]) | texts)
    | st.tuples(st.just("oidc_base_path"), texts),
    max_size=2,
).map(tuple)


@given(st.lists(doors, min_size=1, max_size=3), anything, st.lists(anything, max_size=2), attributes)
def test_whatever_comes_in_an_answer_with_a_reason_comes_out(
    found: list[Door], credential: Credential, acs: list[Credential], said: tuple[tuple[str, str], ...]
) -> None:
    storage = rse(*found, attributes=said)
    for door in found:
        told = verdict(storage, door, credential, NOW, attributes=acs)
        assert told.answer in (YES, NO, UNKNOWN)
        assert bool(told.reason) is (told.answer != YES)
        over = credential.expires is not None and credential.expires <= NOW
        assert not over or told.answer == NO, "nothing takes what is over"
        assert FAMILIES.get(credential.kind) != access.TOKEN or door.scheme not in ("gsiftp", "srm", "http") or told.answer == NO


def test_the_view_shows_the_doors_own_words_where_it_was_tried() -> None:
    row = Access("A", "davs", DAVS.address, "X.509 proxy", "2 proxy", UNKNOWN, "carries no VOMS attributes", "make a VOMS proxy")
    tried = replace(row, live=Proof("A davs", False, NOW, "the door refuses the log-in"))
    texts_of = [{column.id: str(column.text(each, NOW)) for column in VIEW.columns} for each in (row, tried)]
    assert [each["live"] for each in texts_of] == ["", "✖ no"]
    assert [each["why"] for each in texts_of] == ["carries no VOMS attributes; make a VOMS proxy", "the door refuses the log-in"]
    record = VIEW.record(tried)
    assert (record["offline"], record["live"], record["live_reason"]) == ("unknown", False, "the door refuses the log-in")
    assert VIEW.record(row)["live"] is None
    details = [str(fact.value) for fact in VIEW.detail(tried, NOW + HOUR)]
    assert any("1 h ago" in each for each in details)
