"""What the README says is so: commands, options, make targets, keys, settings, tables of the lake, and the picture."""

from __future__ import annotations

import html
import itertools
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from qostui import cli, config
from qostui.domain.errors import Problem
from qostui.domain.profile import Profile
from qostui.lake.inside import topology
from qostui.services.session import VIEWS
from qostui.ui.console import Main, QostuiApp
from qostui.ui.panes.credentials import CredentialsPane
from qostui.ui.panes.feed_pane import FeedPane
from qostui.ui.widgets.live_table import LiveTable

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE = CHECKOUT / "docs" / "console.svg"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
KEY_NAMES = {"/": "slash", ":": "colon", "?": "question_mark", "-": "minus", "[": "left_square_bracket", "]": "right_square_bracket"}
NOT_KEYS = {"keymap", "key_faults", "profiles", "file", "state_dir", "runtime_dir"}
"""Fields of the settings that are no simple keys of the file."""


def code() -> Iterator[str]:
    """Every line of code: of shell blocks, and between backticks."""
    for language, block in BLOCK.findall(README):
        if language != "toml":
            yield from block.splitlines()
    yield from SPAN.findall(BLOCK.sub("", README))


def cells(first_heading: str) -> list[list[str]]:
    """The rows of the table whose first heading is this."""
    lines = iter(README.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            next(lines)
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    return rows
                rows.append([cell.strip() for cell in row.strip("|").split("|")])
    raise AssertionError(f"no table begins with {first_heading}")


def spans(cell: str) -> list[str]:
    return SPAN.findall(cell)


def invocations() -> list[list[str]]:
    """The arguments of every `qostui ...` in the README."""
    found = []
    for line in code():
        for match in re.finditer(r"(?:^|[\s(/])qostui(?= [a-z-])(?P<rest>(?:[^#)|']|'[^']*')*)", line):
            words = shlex.split(match["rest"].rstrip('"'))
            if words:
                found.append(cli._with_dashes(words))
    return found


def shown_help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_readme_names_commands_at_all() -> None:
    commands = [" ".join(words) for words in invocations()]
    assert len(commands) > 20
    assert any(command.startswith("rules --filter state:stuck") for command in commands)
    assert "lake env" in commands


@pytest.mark.parametrize("words", invocations(), ids=" ".join)
def test_every_command_and_option_exists(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("QOSTUI_LAKE", "/nowhere")
    known = shown_help(capsys)
    # A wrong command ends the way to the help; a wrong option does not, so options are looked up.
    known += shown_help(capsys, *words)
    if "lake" in words:
        known += shown_help(capsys, "lake")
    for word in words:
        if word.startswith("-"):
            word = word.partition("=")[0]
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", known), f"{word} in: qostui {' '.join(words)}"
    for option, value in itertools.pairwise(words):
        if option == "-o":
            assert set(value.split("|")) <= set(cli.FORMATS)


def test_a_wrong_command_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rles", "--help"]) == 2
    assert "rles" in capsys.readouterr().err


def test_every_command_is_in_the_readme() -> None:
    said = {words[0] for words in invocations()}
    assert {*cli.VIEWS, "profile", "doors", "doctor", "config", "lake"} <= said


def test_every_make_target_exists() -> None:
    named = {match for line in code() for match in re.findall(r"\bmake ([a-z][a-z0-9-]*)", line)}
    existing = set(re.findall(r"^([a-z0-9-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "picture", "setup"} <= named
    assert named <= existing


def bound() -> dict[str, set[str]]:
    """Binding id -> keys, of all that works on the screen of tabs."""
    keys: dict[str, set[str]] = defaultdict(set)
    kinds: tuple[type[DOMNode], ...] = (QostuiApp, Main, FeedPane, LiveTable, CredentialsPane)
    for kind in kinds:
        for binding in Binding.make_bindings(vars(kind)["BINDINGS"]):
            assert binding.id
            keys[binding.id].add(binding.key)
    return dict(keys)


def test_the_keys_are_those_of_the_app() -> None:
    said = {spans(name)[0]: {KEY_NAMES.get(key, key) for key in spans(keys)} for keys, _, name in cells("key")}
    assert said == bound()


def test_the_keys_of_the_configuration_are_those_it_knows() -> None:
    top = {spans(row[0])[0] for row in cells("top-level key")}
    simple = {entry.name for entry in fields(config.Settings)} - NOT_KEYS
    assert top == {*simple, "[keys]", "[profiles.NAME]"}
    assert {spans(row[0])[0] for row in cells("key of a profile")} == set(Profile.keys())


def test_the_variables_are_those_it_reads() -> None:
    named = {name for row in cells("variable") for name in spans(row[0])}
    assert named >= set(config._OVERRIDES)
    assert named - set(config._OVERRIDES) == {
        "QOSTUI_CONFIG",
        "QOSTUI_LAKE",
        "QOSTUI_GFAL_PYTHON",
        "RUCIO_*",
        "X509_*",
        "BEARER_*",
        "NO_COLOR",
    }


@pytest.mark.parametrize("example", [block for language, block in BLOCK.findall(README) if language == "toml"])
def test_the_examples_of_a_configuration_are_right(example: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(example)
    settings = config.load(file, env={"HOME": str(tmp_path)})
    assert settings.profiles
    assert set(settings.keymap) <= set(bound())


def test_the_exit_codes_are_those_of_the_problems() -> None:
    codes = {int(row[0]) for row in cells("exit code")}
    assert codes == {0, cli.INTERRUPTED, Problem.exit_code, *(kind.exit_code for kind in Problem.__subclasses__())}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.id)
def test_every_column_is_explained(view: object) -> None:
    title, columns = view.title, [column.label for column in view.columns]  # type: ignore[attr-defined]
    said = next(row[1] for row in cells("pane") if row[0] == title)
    for label in columns:
        for word in label.split(", "):
            assert word in said, f"{title}: {word}"


def test_the_rses_are_those_of_the_lake() -> None:
    said = {row[0]: (row[1], row[2].split()) for row in cells("RSE")}
    assert said == {rse.name: (rse.qos or "none", [scheme for scheme, _ in rse.doors]) for rse in topology.RSES}


@pytest.mark.parametrize("text", [README, ARCHITECTURE], ids=["README.md", "architecture.md"])
def test_no_machine_and_no_registry_is_named(text: str) -> None:
    assert str(CHECKOUT) not in text
    assert not re.search(r"/home/|/root\b|/Users/", text)
    assert not re.search(r"pypi\.|pythonhosted|/simple\b|deb\.debian\.org", text, re.IGNORECASE)
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert {host for host in hosts if not host.endswith(".example.org")} <= {"rucio.cern.ch", "localhost"}


def test_what_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert {"docs/console.svg", "docs/architecture.md", "CHANGELOG.md"} <= set(links)
    for link in links:
        assert (CHECKOUT / link).is_file(), link


def test_the_picture_shows_the_lake_and_gives_nothing_away() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    assert len(picture.encode()) < 300_000
    text = html.unescape(picture).replace("\u00a0", " ")
    for shown in ("lake-operator", "STUCK", "no scheme that source", "CNAF-GRIDFTP", "live"):
        assert shown in text
    assert not re.search(r"/home/|/root\b|/var/|/tmp/|@font-face|<script|<image", text)
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= {"www.w3.org", "www.textualize.io"}
