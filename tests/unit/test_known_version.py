"""Versions known to be bad: how ranges are read, and what the shipped table says of the versions that are written about."""

from __future__ import annotations

import pytest

from qostui.adapters.doctor import software
from qostui.domain import finding
from qostui.domain.known_version import KnownVersion, known, parse


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("v5.5.3", (5, 5, 3)),
        ("41.0.0", (41,)),
        ("rucio 1.22.6.post1", (1, 22, 6)),
        ("2.21.3-1+deb12", (2, 21, 3)),
        ("", ()),
        ("unknown", ()),
    ],
)
def test_numbers_of_a_version(text: str, numbers: tuple[int, ...]) -> None:
    assert parse(text) == numbers


def test_ranges_are_half_open() -> None:
    entry = KnownVersion("x", "bad", "fix", "here", "1.20.0", "1.20.4")
    assert [version for version in ("1.19.8", "1.20", "1.20.0", "1.20.3", "1.20.4", "1.30") if entry.covers(version)] == [
        "1.20",
        "1.20.0",
        "1.20.3",
    ]
    assert not entry.covers("")
    assert KnownVersion("x", "bad", "fix", "here", until="2").covers("1.99")
    assert not KnownVersion("x", "bad", "fix", "here", until="2").covers("2.0.0")
    assert KnownVersion("x", "bad", "fix", "here", first="41").covers("41.5.1")


@pytest.mark.parametrize(
    ("component", "version", "words"),
    [
        ("rucio-clients", "1.19.8", []),
        ("rucio-clients", "1.20.3", ["never create missing parent directories"]),
        ("rucio-clients", "1.20.4", ["hide why"]),
        ("rucio-clients", "1.22.6", ["hide why"]),
        ("rucio-clients", "1.30.9", ["hide why"]),
        ("rucio-clients", "1.31.0", []),
        ("rucio-clients", "40.4.2", []),
        ("rucio-clients", "41.0.0", ["GridFTP and SRM were removed", "scheme is https"]),
        ("rucio-server", "40.4.2", []),
        ("rucio-server", "41.5.1", ["GridFTP were removed", "SAML"]),
        ("gfal2", "2.17.2", ["file exists", "looks like a missing directory"]),
        ("gfal2", "2.17.3", ["looks like a missing directory"]),
        ("gfal2", "2.20.2", []),
        ("gfal2", "2.21.3", []),
    ],
)
def test_the_shipped_table(component: str, version: str, words: list[str]) -> None:
    found = known(software.table(), component, version)
    assert len(found) == len(words)
    for entry, word in zip(found, words, strict=True):
        assert word in entry.wrong


def test_every_entry_says_all_and_ranges_run_forward() -> None:
    table = software.table()
    assert {entry.component for entry in table} == {"rucio-clients", "rucio-server", "gfal2"}
    for entry in table:
        assert entry.wrong
        assert entry.fix
        assert entry.source
        assert entry.first or entry.until
        assert entry.level in finding.LEVELS
        assert not (entry.first and entry.until) or parse(entry.first) < parse(entry.until)


def test_a_version_that_works_is_only_noted() -> None:
    """The lake's and the console's own versions: a healthy machine must show no warning."""
    for component, version in (("rucio-clients", "41.5.1"), ("rucio-server", "41.5.1"), ("gfal2", "2.21.3")):
        assert {each.level for each in software.said_of(component, version, "here", "software.x")} <= {finding.OK, finding.NOTE}
