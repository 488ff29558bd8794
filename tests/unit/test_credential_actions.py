"""The table of what can be done with credentials: what is refused while it is typed, and what the desk is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from qostui.domain import keys
from qostui.domain.credential import Credential
from qostui.domain.errors import UsageProblem
from qostui.domain.profile import Profile, Secret
from qostui.services.credential_actions import TABLE, Given, choices
from qostui.services.ports_credentials import ACTIONS
from tests.functional.fakes import FakeDesk

PROFILE = Profile(
    "lake", "https://rucio.test", "ops", "x509_proxy", certificate=Path("/c.pem"), key=Path("/k.pem"), fts="https://fts.test:8446",
    issuer="https://op.test/", voms="escape",
)  # fmt: skip
ROW = Credential("2 proxy", "X.509 proxy", "alice", "/p", scopes=("storage.read:/", "openid"), actions=tuple(ACTIONS))

GOOD: dict[str, tuple[dict[str, str], str, tuple[object, ...]]] = {
    "proxy": ({"hours": " 9.5 "}, "for 9.5 h", (9.5,)),
    "refresh": ({}, "op.test:443", ()),
    "narrow": (
        {"scope": "storage.read:/data  openid", "audience": " https://a "},
        "audience https://a",
        ("storage.read:/data openid", "https://a"),
    ),
    "macaroon": (
        {"door": "davs://h:1094/data", "activities": "download list", "minutes": "30"},
        "DOWNLOAD, LIST for 30 min",
        ("https://h:1094/data", ("DOWNLOAD", "LIST"), 30),
    ),
    "delegate": ({}, "fts.test:8446", ()),
    "import": ({"path": "/some/proxy"}, "/some/proxy", (Path("/some/proxy"),)),
    "export": ({"path": "/new/file"}, "/new/file", ("2 proxy", Path("/new/file"))),
    "drop": ({"word": "drop"}, "deletes X.509 proxy alice", ("2 proxy",)),
}


def test_every_action_has_its_entry_and_its_letter() -> None:
    assert set(TABLE) == set(ACTIONS)
    assert {f"actions.{name}" for name in ACTIONS} <= set(keys.PLACES["actions"])


@pytest.mark.parametrize("name", GOOD)
def test_what_is_typed_is_shown_before_and_reaches_the_desk(name: str) -> None:
    values, shown, told = GOOD[name]
    given, desk, action = Given(values), FakeDesk(), TABLE[name]
    assert shown in action.preview(PROFILE, ROW, given)
    assert action.run(desk, ROW, given)
    assert desk.told == [(name, told)]


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("proxy", {"hours": ""}, "nothing: not a number of hours"),
        ("proxy", {"hours": "nan"}, "nan: not a number"),
        ("proxy", {"hours": "inf"}, "inf: not a number"),
        ("proxy", {"hours": "-1"}, "-1: not a number"),
        ("proxy", {"hours": "9999"}, "9999: not a number"),
        ("narrow", {"scope": " ", "audience": ""}, "neither scope nor audience"),
        ("macaroon", {"door": "gsiftp://h", "activities": "LIST", "minutes": "1"}, "of an https door"),
        ("macaroon", {"door": "https://h", "activities": "LIST FLY", "minutes": "1"}, "FLY: no activity"),
        ("macaroon", {"door": "https://h", "activities": " ", "minutes": "1"}, "nothing: no activity"),
        ("macaroon", {"door": "https://h", "activities": "LIST", "minutes": "soon"}, "soon: not a number of minutes"),
        ("import", {"path": "  "}, "no file is named"),
        ("export", {}, "no file is named"),
        ("drop", {"word": "drp"}, "deletes X.509 proxy alice"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_desk_hears_of_it(name: str, values: dict[str, str], says: str) -> None:
    desk, given = FakeDesk(), Given(values)
    with pytest.raises(UsageProblem, match=says) as caught:
        TABLE[name].preview(PROFILE, ROW, given)
    assert caught.value.step
    with pytest.raises(UsageProblem):
        TABLE[name].run(desk, ROW, given)
    assert desk.told == []


def test_a_read_only_profile_keeps_what_changes_something_elsewhere_and_says_why() -> None:
    barred = {choice.action.name: choice.barred for choice in choices(ROW, read_only=True) if choice.barred}
    assert set(barred) == {"delegate", "drop"}
    assert barred["delegate"] == "not in a read-only profile: FTS would keep a proxy of yours"
    assert not any(choice.barred for choice in choices(ROW, read_only=False))


def test_the_menu_offers_what_the_row_can() -> None:
    row = Credential("4", "Access token", "alice", "/t", actions=("refresh", "log-in", "unknown"))
    assert [choice.action.name for choice in choices(row, read_only=False)] == ["log-in", "refresh"]


def test_what_is_given_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(Given({"hours": "1"}, Secret("s3cret")))
