"""The doctor as a whole: limits, judgements of clocks, terminals, places and VOMS files, the report and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.adapters import doctor as adapter
from qostui.adapters.doctor import case, checks, programs, rounds, servers, software, surroundings, voms
from qostui.commands import doctor
from qostui.config import Settings
from qostui.domain.errors import ConnectionProblem, UsageProblem
from qostui.domain.finding import LEVELS, TOPICS, Finding
from qostui.domain.profile import Profile
from qostui.domain.rse import Door, Rse
from qostui.services.feeds import Cancelled
from qostui.services.views import findings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PROFILE = Profile("p", "https://localhost:1", "ops", "userpass")


class Wanted:
    """A Cancel that can be ended."""

    wanted = True

    def closes(self, close: Callable[[], None]) -> None:
        """Nothing is closed."""


def finding(level: str, check: str = "trust.crl", subject: str = "/ca") -> Finding:
    return Finding(check, subject, level, f"{subject} is {level}", "" if level == "ok" else "mend it")


# limits -------------------------------------------------------------------------------------------------------------


def examined(monkeypatch: pytest.MonkeyPatch, *table: checks.Check, cancel: Any = None) -> list[Finding]:
    monkeypatch.setattr(checks, "CHECKS", table)
    return list(adapter.examine(PROFILE, Settings(), cancel or Wanted()))


def test_a_check_that_fails_or_hangs_is_a_finding_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    never, closed = threading.Event(), threading.Event()

    def hangs(seen: case.Case, cancel: Any) -> Sequence[Finding]:
        cancel.closes(closed.set)
        never.wait()
        return ()

    def breaks(seen: case.Case, cancel: Any) -> Sequence[Finding]:
        raise ValueError("s3cret")

    def refused(seen: case.Case, cancel: Any) -> Sequence[Finding]:
        raise ConnectionProblem("nobody answers", step="call them")

    found = examined(
        monkeypatch,
        checks.Check("trust.a", "hanging", hangs, 0.05),
        checks.Check("trust.b", "breaking", breaks),
        checks.Check("trust.c", "refused", refused),
        checks.Check("trust.d", "good", lambda seen, cancel: [finding("ok", "trust.d")]),
    )
    assert closed.wait(10)
    never.set()
    by_check = {each.check: each for each in found}
    assert {name: each.level for name, each in by_check.items()} == {
        "trust.a": "warning",
        "trust.b": "warning",
        "trust.c": "warning",
        "trust.d": "ok",
    }
    assert "did not end" in by_check["trust.a"].summary
    assert "ValueError" in by_check["trust.b"].summary
    assert "s3cret" not in repr(found)
    assert by_check["trust.c"].fix == "call them"


def test_what_hangs_keeps_no_place() -> None:
    never = threading.Event()
    jobs = [rounds.Job(str(number), lambda cancel: never.wait(), 0.05) for number in range(3)]
    jobs += [rounds.Job("last", lambda cancel: True, 30)]
    outcomes = {each.job.name: each for each in rounds.run(jobs, Wanted(), 1)}
    never.set()
    assert outcomes["last"].value is True
    assert [outcomes[str(number)].overdue for number in range(3)] == [True] * 3


def test_cancelling_from_outside_ends_it() -> None:
    cancel, closed, never = Wanted(), threading.Event(), threading.Event()

    def waits(inner: Any) -> None:
        inner.closes(closed.set)
        cancel.wanted = False
        never.wait()

    with pytest.raises(Cancelled):
        list(rounds.run([rounds.Job("a", waits, 30)], cancel, 1))
    assert closed.wait(10)
    never.set()


def test_few_run_side_by_side() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work(cancel: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    assert len(list(rounds.run([rounds.Job(str(number), work, 30) for number in range(12)], Wanted(), 3))) == 12
    assert most <= 3


def test_the_table_is_whole() -> None:
    ids = [each.id for each in checks.CHECKS]
    assert len(set(ids)) == len(ids)
    assert {each.partition(".")[0] for each in ids} == set(TOPICS)


# clocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Wed, 25 Nov 2026 12:00:00 GMT", 0),
        ("Wed, 25 Nov 2026 11:59:59 GMT", 0),
        ("Wed, 25 Nov 2026 12:00:02 GMT", 0),
        ("Wed, 25 Nov 2026 12:05:02 GMT", 300),
        ("Wed, 25 Nov 2026 11:54:59 GMT", -300),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_the_date_header_proves_a_difference(date: str, seconds: int) -> None:
    assert case.difference(date, NOW, NOW + timedelta(seconds=2)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "level", "word"), [(0, "ok", "agrees"), (4, "ok", "agrees"), (30, "warning", "30 s behind"), (-3600, "fault", "60 m ahead")]
)
def test_clocks(seconds: int, level: str, word: str) -> None:
    (found,) = servers.judged_clock(timedelta(seconds=seconds), "rucio:443")
    assert (found.level, found.check) == (level, "clock.server")
    assert word in found.summary.replace("1 h ahead", "60 m ahead")


def test_only_this_machine_is_called_without_tls_and_without_a_word() -> None:
    assert [servers.is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "a.localhost")] == [True] * 4
    assert [servers.is_loopback(host) for host in ("rucio.example.org", "10.0.0.1", "localhost.example.org")] == [False] * 3


class Answering(case.Case):
    """A case whose Rucio answers."""

    def pulse(self, cancel: Any) -> case.Pulse:
        return case.Pulse("41.5.1", timedelta())


def test_what_goes_over_the_network_in_clear_is_told() -> None:
    def levels(address: str) -> list[str]:
        return [each.level for each in servers.check_rucio(Answering(replace(PROFILE, rucio_host=address), Settings()), Wanted())]

    assert levels("https://rucio.example.org") == ["ok"]
    assert levels("http://localhost:8080") == ["ok"]
    assert levels("http://rucio.example.org") == ["ok", "warning"]


# doors --------------------------------------------------------------------------------------------------------------


def test_doors_are_visited_once_for_all_rses_that_share_them() -> None:
    def rse(name: str, *doors: Door) -> Rse:
        return Rse(name, "DISK", "", True, True, True, doors=doors)

    shared = Door("davs", "h", 0, "/a")
    found = servers.doors_of(
        [rse("A", shared, Door("davs", "h", 443, "/b")), rse("B", shared, Door("root", "h", 1094, "/")), rse("C", Door("odd", "h", 0, "/"))]
    )
    assert found == {("davs", "h", 443): ["A", "B"], ("root", "h", 1094): ["B"]}


# VOMS ---------------------------------------------------------------------------------------------------------------


def test_vomses_and_lsc_files_are_read_as_the_voms_library_does() -> None:
    text = '# a comment\n"escape" "voms.example.org" "15000" "/DC=x/CN=voms.example.org" "escape" "24"\nbroken "line\n"too" "short"\n'
    assert voms.entries(text) == [voms.Entry("escape", "voms.example.org", "15000", "/DC=x/CN=voms.example.org", "escape")]
    assert voms.chains("/CN=a\n/CN=ca\n------ NEXT CHAIN ------\n/CN=b\n/CN=ca2\n\n") == [["/CN=a", "/CN=ca"], ["/CN=b", "/CN=ca2"]]
    assert voms.chains("nothing\n") == []


@given(st.text(max_size=200))
def test_odd_vomses_and_lsc_files_break_nothing(text: str) -> None:
    assert all(isinstance(entry.host, str) for entry in voms.entries(text))
    assert all(chain for chain in voms.chains(text))


def test_a_vo_without_a_server(tmp_path: Path) -> None:
    vomses, directory = tmp_path / "vomses", tmp_path / "vomsdir"
    profile = replace(PROFILE, voms="escape:/escape/Role=operator", vomses=vomses, voms_dir=directory)
    seen = case.Case(profile, Settings())
    assert [each.level for each in voms.check_vomses(seen, Wanted())] == ["fault"]
    vomses.write_text('"lofar" "h" "1" "/CN=h" "lofar"\n')
    assert [each.level for each in voms.check_vomses(seen, Wanted())] == ["fault"]
    vomses.write_text('"escape" "h" "1" "/CN=h" "escape"\n')
    assert [each.level for each in voms.check_vomses(seen, Wanted())] == ["ok"]
    assert [each.level for each in voms.check_lsc(seen, Wanted())] == ["warning"]
    (directory / "escape").mkdir(parents=True)
    (directory / "escape" / "h.lsc").write_text("/CN=h\n/CN=ca\n")
    assert [each.level for each in voms.check_lsc(seen, Wanted())] == ["ok"]
    assert list(voms.check_vomses(case.Case(PROFILE, Settings()), Wanted())) == []


# software -----------------------------------------------------------------------------------------------------------


def test_plug_ins_that_are_missing_are_named(tmp_path: Path) -> None:
    for name in software.PLUGINS:
        (tmp_path / name).touch()
    assert [each.level for each in software.plugins_in("x.y", [tmp_path])] == ["ok"]
    (tmp_path / "libgfal_plugin_http.so").unlink()
    (found,) = software.plugins_in("x.y", [tmp_path])
    assert ("davs" in found.summary, found.fix) == (True, "install gfal2-plugin-http")
    assert len(software.plugins_in("x.y", [])) == 3


def test_a_python_without_gfal2_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'gfal2'\" >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("GFAL_PYTHONBIN", str(python))
    (found,) = software.check_gfal2(case.Case(None, Settings()), Wanted())
    assert (found.level, "No module named 'gfal2'" in found.summary) == ("warning", True)
    python.write_text("#!/bin/sh\necho gfal2 2.17.1\n")
    assert [each.level for each in software.check_gfal2(case.Case(None, Settings()), Wanted())] == ["warning", "warning"]


def test_programs_get_an_environment_from_nothing_and_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X509_USER_PROXY", "/bait")
    status, said = programs.ran(["/usr/bin/env"], Wanted())
    assert status == 0
    assert sorted(line.partition("=")[0] for line in said.splitlines()) == ["HOME", "LANG", "PATH"]
    assert programs.ran([str(tmp_path / "none")], Wanted())[0] == -1
    status, said = programs.ran(["/bin/sh", "-c", "sleep 600 & wait"], Wanted(), limit_s=0.05)
    assert (status, "did not end" in said) == (-1, True)


# terminal and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "colors", "is_terminal", "level"),
    [
        ({"TERM": "xterm-256color"}, 256, True, "ok"),
        ({"TERM": "dumb"}, -1, True, "warning"),
        ({}, None, True, "warning"),
        ({}, None, False, "ok"),
        ({"TERM": "xterm-odd"}, None, True, "warning"),
        ({"TERM": "vt100"}, -1, True, "note"),
        ({"TERM": "vt100", "COLORTERM": "truecolor"}, -1, True, "ok"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, 256, True, "note"),
    ],
)
def test_kinds_of_terminal(env: dict[str, str], colors: int | None, is_terminal: bool, level: str) -> None:
    (found,) = surroundings.judged_kind(env, colors, is_terminal)
    assert found.level == level


def test_sizes_and_tmux() -> None:
    assert [surroundings.judged_size(*size)[0].level for size in ((80, 24), (79, 24), (80, 23), (200, 60))] == [
        "ok",
        "warning",
        "warning",
        "ok",
    ]
    for version, clipboard, level in (
        ("tmux 3.3a", "external", "ok"),
        ("tmux 3.3a", "on", "ok"),
        ("tmux 3.3a", "off", "note"),
        ("tmux 2.1", "on", "note"),
        ("", "", "note"),
    ):
        assert surroundings.judged_tmux(version, clipboard)[0].level == level


def test_places(tmp_path: Path) -> None:
    def level(path: Path, *, private: bool = True) -> str:
        return surroundings.directory("places.x", path, "the directory", private=private)[0].level

    place = tmp_path / "place"
    assert level(place / "deep") == "ok"  # it can be made
    place.mkdir(mode=0o700)
    assert level(place) == "ok"
    place.chmod(0o755)
    assert (level(place), level(place, private=False)) == ("fault", "ok")
    place.chmod(0o777)
    assert level(place, private=False) == "fault"
    file = tmp_path / "file"
    file.touch()
    assert (level(file), level(file / "below")) == ("fault", "fault")


def test_a_configuration_that_others_can_change(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.touch(mode=0o600)
    settings = replace(Settings(), file=file)
    assert surroundings.check_configuration(case.Case(None, settings), Wanted())[0].level == "ok"
    file.chmod(0o666)
    found = surroundings.check_configuration(case.Case(None, settings), Wanted())[0]
    assert (found.level, found.fix) == ("fault", f"chmod go-w {file}")


# the report ---------------------------------------------------------------------------------------------------------


def test_findings_sort_by_topic_and_the_worst_first() -> None:
    shuffled = [finding("ok"), finding("note", "places.x"), finding("fault"), finding("fault", "servers.rucio"), finding("warning")]
    assert [(each.topic, each.level) for each in sorted(shuffled, key=lambda each: each.order)] == [
        ("trust", "fault"),
        ("trust", "warning"),
        ("trust", "ok"),
        ("servers", "fault"),
        ("places", "note"),
    ]


def test_the_view_says_level_by_glyph_and_word_and_keeps_outside_text_harmless() -> None:
    row = Finding("trust.crl", "/ca", "fault", "bad \x1b[31mname", "mend it", "more")
    cells = {column.id: column.text(row, NOW) for column in findings.VIEW.columns}
    assert (cells["level"], cells["summary"], cells["fix"]) == ("✖ fault", r"bad \x1b[31mname", "mend it")
    assert findings.VIEW.record(row)["level"] == "fault"
    assert {findings.level_text(finding(level)).split()[1] for level in LEVELS} == set(LEVELS)
    assert len({findings.level_text(finding(level)).split()[0] for level in LEVELS}) == len(LEVELS)
    assert any(fact.value == "mend it" for fact in findings.VIEW.detail(row, NOW))


class Say:
    """Runs the command with findings that are given instead of an examination."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.asked: list[tuple[str | None, bool]] = []
        """(profile, whether the machine was to be looked at) of the last run."""

    def __call__(self, found: list[Finding], settings: Settings | None = None, **options: Any) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.asked = []

        def examine(profile: Profile | None, settings: Any, cancel: Any, *, machine: bool) -> Iterator[Finding]:
            self.asked.append((profile.name if profile else None, machine))
            yield from found

        self._monkeypatch.setattr(adapter, "examine", examine)
        used = settings or replace(Settings(), profiles={"p": PROFILE})
        code = doctor.run(None, load=lambda: used, **options)
        out = self._capsys.readouterr()
        return code, out.out, out.err


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([finding("ok"), finding("note"), finding("warning")], 0),
        ([finding("fault")], 1),
        ([finding("fault"), finding("fault", "credentials.proxy")], 4),
        ([finding("warning", "credentials.proxy"), finding("fault")], 1),
    ],
)
def test_exit_codes(say: Say, found: list[Finding], code: int) -> None:
    assert say(found)[0] == code


def test_the_report_has_topics_fixes_and_a_last_line(say: Say) -> None:
    found = [finding("fault"), finding("ok", "servers.rucio"), finding("note", "credentials.keyring", "keyring")]
    _, out, err = say(found, output="table")
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "p   ops by userpass at localhost:1"
    assert lines[lines.index(TOPICS["trust"]) + 1 :][:2] == [" ✖ fault   /ca is fault", "           → mend it"]
    assert TOPICS["servers"] not in lines
    assert lines[-1] == "3 checks ran: 1 fault, 1 note; --all-findings lists what is well too"
    assert " ✔ ok      /ca is ok" in say(found, output="table", everything=True)[1].splitlines()


def test_records_go_to_standard_output_and_talk_to_the_other(say: Say) -> None:
    _, out, err = say([finding("fault"), finding("ok", "servers.rucio")], output="json")
    (record,) = json.loads(out)
    words = {"check": "trust.crl", "subject": "/ca", "level": "fault", "summary": "/ca is fault", "fix": "mend it", "detail": None}
    assert record == {"profile": "p"} | words
    assert err.startswith("2 checks ran: 1 fault")
    assert len(json.loads(say([finding("fault"), finding("ok")], output="json", everything=True)[1])) == 2


def test_several_profiles_share_one_look_at_the_machine(say: Say) -> None:
    settings = replace(Settings(), profiles={"p": PROFILE, "q": replace(PROFILE, name="q")}, default_profile="p")
    say([], settings=settings)
    assert say.asked == [("p", True)]
    say([], settings=settings, every_profile=True)
    assert say.asked == [("p", True), ("q", False)]
    say([], settings=replace(settings, default_profile=None))
    assert say.asked == [("p", True), ("q", False)]
    say([], settings=Settings())
    assert say.asked == [(None, True)]


def test_a_broken_configuration_is_a_finding(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Settings:
        raise UsageProblem("config.toml:3: unknown key", step="did you mean rucio_host?")

    monkeypatch.setattr(adapter, "examine", lambda *arguments, **options: iter([finding("ok")]))
    assert doctor.run(None, output="json", load=load) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["check"], record["summary"]) == ("places.configuration", "config.toml:3: unknown key")


def test_two_wishes_are_one_too_many() -> None:
    settings = replace(Settings(), profiles={"p": PROFILE})
    with pytest.raises(UsageProblem):
        doctor.run("p", every_profile=True, load=lambda: settings)


def qostui(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process, with an environment from nothing."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "qostui", *arguments], env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_and_examination_need_nothing_configured_and_leave_nothing(tmp_path: Path) -> None:
    helped = qostui(tmp_path, "doctor", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--all-findings" in helped.stdout
    done = qostui(tmp_path, "doctor", "--all-findings", "-o", "json")
    assert done.returncode in (0, 1, 4), done.stderr  # what this very machine has is not this test's affair
    said = json.loads(done.stdout)
    assert {record["check"] for record in said} >= {"software.gfal2", "terminal.locale", "places.state", "credentials.keyring"}
    assert not [record for record in said if "failed (" in record["summary"] or "did not end" in record["summary"]]
    assert {record["profile"] for record in said} == {None}
    assert "checks ran" in done.stderr
    assert list(tmp_path.iterdir()) == []
