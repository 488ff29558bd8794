"""Keymaps: what is taken of them, what is refused and why, and that no key gets two meanings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qostui import config
from qostui.domain import keys
from qostui.domain.errors import UsageProblem
from qostui.domain.keys import Rebinding, resolve


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("/", "slash"), ("?", "question_mark"), ("-", "minus"), ("esc", "escape"), ("pgdn", "pagedown"), ("G", "G"), ("f12", "f12"),
        ("shift+ctrl+x", "ctrl+shift+x"), ("ctrl+X", "ctrl+x"), ("ctrl+i", "tab"), ("ctrl+[", "escape"), ("+", "plus"),
        ("ctrl++", "ctrl+plus"),
    ],
)  # fmt: skip
def test_a_key_has_one_name_however_it_is_written(written: str, name: str) -> None:
    assert keys.canonical(written) == name


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("strg+x", "no modifier"), ("pagedwn", "did you mean pagedown"), ("", "is no key"), ("shift+a", "as the character"),
        ("f25", "is no key"), ("ctrl+", "is no key"), ("\x1b", "is no key"),
    ],
)  # fmt: skip
def test_what_is_no_key_is_said(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        keys.canonical(written)


@pytest.mark.parametrize(
    ("name", "wanted", "says"),
    [
        ("pane.refrsh", "f5", "no binding is called 'pane.refrsh'; did you mean pane.refresh?"),
        ("pane.refresh", 5, "pane.refresh: a text in quotes is needed, such as 'r,ctrl+r'"),
        ("pane.refresh", "f5,nonsense", "pane.refresh: 'nonsense' is no key"),
        ("pane.refresh", "s", "pane.refresh: s already means table.sort in a table; it stays on r,ctrl+r"),
        ("app.help", "q", "app.help: q already means app.quit in a table; it stays on ?"),
        ("filter.leave", "x", "filter.leave: 'x' is text where this works"),
        ("jump.leave", "backspace", "jump.leave: backspace already means editing of the text at the prompt :"),
        ("table.sort", "q", "table.sort: q already means app.quit in a table"),
    ],
)
def test_a_wrong_rebinding_is_refused_with_its_reason(name: str, wanted: object, says: str) -> None:
    keymap = resolve({name: Rebinding(wanted, "keys.toml:3"), "pane.copy": Rebinding("f6")})
    assert keymap.keys == {"pane.copy": "f6"}, "the others are taken"
    assert len(keymap.faults) == 1
    assert keymap.faults[0].startswith(f"keys.toml:3: {says}")


def test_keys_may_change_places() -> None:
    keymap = resolve({"pane.copy": Rebinding("e"), "pane.problem": Rebinding("c")})
    assert keymap == keys.Keymap({"pane.copy": "e", "pane.problem": "c"})


def test_of_two_that_want_one_key_the_first_gets_it() -> None:
    keymap = resolve({"pane.copy": Rebinding("f5"), "app.switch": Rebinding("f5")})
    assert keymap.keys == {"pane.copy": "f5"}
    assert "app.switch: f5 already means pane.copy in a table; it stays on ctrl+t" in keymap.faults[0]


def test_one_that_is_refused_takes_with_it_what_relied_on_it() -> None:
    keymap = resolve({"pane.copy": Rebinding("s"), "app.switch": Rebinding("c")})
    assert keymap.keys == {}
    assert len(keymap.faults) == 2


names = st.sampled_from(sorted(keys.DEFAULTS))
written = st.sampled_from(["a", "q", "f5", "tab", "esc", "enter", "ctrl+t", "ctrl+c", "/", "down", "s,t", "space", "home", "1", "ctrl+a"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, written.map(Rebinding), max_size=8))
def test_whatever_is_wanted_no_key_gets_a_second_meaning(wanted: dict[str, Rebinding]) -> None:
    keymap = resolve(wanted)
    taken = {name: tuple(each.split(",")) for name, each in keymap.keys.items()}
    assert len(taken) + len(keymap.faults) == len(wanted)
    for chain in keys.CHAINS:
        assert {found for found in keys.shared(chain, taken) if found[1] in taken or found[2] in taken} <= keys.shared(chain, {})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text('theme = "light"\n[keys]\n"pane.refresh" = "f5"\n"pane.copy" = "f6"\n')
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        '"pane.refresh" = "f7"',
        'pane.refresh = "f7"',
        '[pane]\nrefresh = "f7"',
        '[keys]\n"pane.refresh" = "f7"',
        '[keys.pane]\nrefresh="f7"',
    ],
)
def test_the_keymap_file_wins_over_the_table(home: Path, text: str) -> None:
    (home / "keys.toml").write_text(text)
    found = config.load(home / "config.toml", {})
    assert (found.keymap, found.key_faults) == ({"pane.refresh": "f7", "pane.copy": "f6"}, ())


def test_the_table_may_be_written_without_quotes(home: Path) -> None:
    (home / "config.toml").write_text('[keys]\npane.refresh = "f5"\n')
    assert config.load(home / "config.toml", {}).keymap == {"pane.refresh": "f5"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('# mine\n\n"pane.refrsh" = "f7"', 3, "did you mean pane.refresh?"),
        ('[pane]\n# x\nrefresh = "nokey"', 3, "'nokey' is no key"),
        ("pane.refresh = 5", 1, "a text in quotes"),
        ('pane.copy = "f9"\npane.refresh = "f9"', 2, "already means pane.copy"),
        ("pane.refresh = ", 1, "not valid TOML"),
        ("a = 1\nb = [", 2, "not valid TOML"),
    ],
)
def test_faults_name_file_and_line_and_stop_nothing(home: Path, text: str, line: int, says: str) -> None:
    file = home / "keys.toml"
    file.write_text(text)
    found = config.load(home / "config.toml", {})
    assert found.theme == "light"
    assert any(fault.startswith(f"{file}:{line}: ") and says in fault for fault in found.key_faults), found.key_faults


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b"[keys", b"keys = 3"])
def test_nonsense_is_a_fault_and_no_crash(home: Path, content: bytes) -> None:
    (home / "keys.toml").write_bytes(content)
    assert "keys.toml" in config.load(home / "config.toml", {}).key_faults[0]


def test_a_keymap_that_is_a_directory_is_a_fault(home: Path) -> None:
    (home / "keys.toml").mkdir()
    assert "cannot be read" in config.load(home / "config.toml", {}).key_faults[0]


def test_the_settings_of_slow_lines(home: Path) -> None:
    (home / "config.toml").write_text('ssh = true\ntheme_over_ssh = "sixteen"\n')
    found = config.load(home / "config.toml", {})
    assert (found.ssh, found.theme_over_ssh) == (True, "sixteen")
    assert config.load(home / "config.toml", {"QOSTUI_SSH": "0"}).ssh is False
    assert config.load(home / "config.toml", {"QOSTUI_THEME_OVER_SSH": "none"}).theme_over_ssh == "none"
    (home / "config.toml").write_text('ssh = "yes"\n')
    with pytest.raises(UsageProblem, match="ssh must be true or false"):
        config.load(home / "config.toml", {})
    (home / "config.toml").write_text("")
    assert config.load(home / "config.toml", {}).ssh is None
