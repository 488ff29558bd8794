"""Changes to the text of a configuration: what is meant changes, and nothing else does."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui import toml_tables
from qostui.domain.errors import UsageProblem

TEXT = '''\
# mine
default_profile = "a"  # for now

[profiles.a]  # the first
rucio_host = "https://a"  # by name
# who
account = "x"

# the other one
[profiles.b]
account = "y"

[keys]
"pane.refresh" = "f5"

[profiles."c.d"]
account = """
[profiles.a]
# not a header
"""
'''


def test_a_key_is_changed_added_and_taken_away_where_it_belongs() -> None:
    changed = toml_tables.merge(TEXT, "a", {"account": "new", "color": "red", "rucio_host": None, "read_only": True, "key": None})
    assert changed == TEXT.replace('rucio_host = "https://a"  # by name\n', "").replace(
        'account = "x"\n', 'account = "new"\ncolor = "red"\nread_only = true\n'
    )


def test_a_profile_goes_and_the_comment_of_the_next_one_stays() -> None:
    changed = toml_tables.drop(TEXT, "a")
    assert changed == TEXT.replace(
        'default_profile = "a"  # for now\n\n[profiles.a]  # the first\nrucio_host = "https://a"  # by name\n# who\naccount = "x"\n', ""
    ), "and the default profile with it"
    assert toml_tables.drop(TEXT, "b") == TEXT.replace('[profiles.b]\naccount = "y"\n', "")
    assert tomllib.loads(toml_tables.drop(TEXT, "c.d"))["profiles"].keys() == {"a", "b"}
    assert toml_tables.drop('[profiles.a]\naccount = "x"\n', "a") == ""


def test_a_new_one_goes_to_the_end_and_an_old_one_stays_in_its_place() -> None:
    assert toml_tables.put(TEXT, "e.f", {"account": 'q"\n', "read_only": True, "key": None}).removeprefix(TEXT) == (
        '\n[profiles."e.f"]\naccount = "q\\"\\n"\nread_only = true\n'
    )
    assert toml_tables.put(TEXT, "b", {"account": "z", "proxy": "/x"}) == TEXT.replace('account = "y"', 'account = "z"\nproxy = "/x"')
    assert toml_tables.put("", "a", {"account": "x"}) == '[profiles.a]\naccount = "x"\n'


def test_the_text_of_a_profile_can_be_taken_out_and_put_back() -> None:
    body = toml_tables.body(TEXT, "a")
    assert body == 'rucio_host = "https://a"  # by name\n# who\naccount = "x"\n'
    assert toml_tables.put_body(TEXT, "a", body) == TEXT
    assert toml_tables.put_body(TEXT, "a", f"# more\n{body}") == TEXT.replace("# the first\n", "# the first\n# more\n")


def test_the_default_profile_is_set_where_there_was_none() -> None:
    assert toml_tables.set_default(TEXT, "b") == TEXT.replace('"a"  #', '"b"  #')
    without = '[profiles.a]\naccount = "x"\n'
    assert tomllib.loads(toml_tables.set_default(without, "a")) == {"default_profile": "a", **tomllib.loads(without)}


def _merge(text: str) -> str:
    return toml_tables.merge(text, "a", {"color": "red"})


def _put(text: str) -> str:
    return toml_tables.put(text, "a", {"account": "new"})


def _drop(text: str) -> str:
    return toml_tables.drop(text, "a")


def _add(text: str) -> str:
    return toml_tables.put(text, "n", {"account": "new"})


@pytest.mark.parametrize("change", [_merge, _put, _drop, _add])
@pytest.mark.parametrize(
    "text",
    [
        'profiles.a.account = "x"\nprofiles.b = { account = "y" }\n',
        'profiles.b.account = "x"\nprofiles.a = { account = "y" }\n',
        '[profiles]\na = { account = "y" } # c\n[keys]\n"x.y" = "f1"\n',
        '[profiles]\na.account = "y"\n[profiles.b]\naccount = "z"\n',
        '[profiles.b]\naccount = """\n[profiles.a]\n"""\n[ profiles . "a" ]\naccount = "x" # c\n# the end',
        "[profiles.a]\naccount = '''\n[profiles.b]\n# x'''\n[profiles.b]\n",
    ],
)
def test_however_it_is_written_it_changes_as_meant_or_not_at_all(text: str, change: Callable[[str], str]) -> None:
    before = tomllib.loads(text)["profiles"]
    try:
        after = tomllib.loads(change(text if text.endswith("\n") else f"{text}\n"))
    except UsageProblem:
        return
    assert after.get("profiles", {}).get("b") == before.get("b")
    assert after.get("keys") == tomllib.loads(text).get("keys")


_VALUES = st.dictionaries(
    st.sampled_from(["account", "rucio_host", "color", "scope"]), st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4
)
_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@given(profiles=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4), values=_VALUES, data=st.data())
def test_any_values_come_back_as_they_were_given(profiles: dict[str, dict[str, str]], values: dict[str, str], data: st.DataObject) -> None:
    text = "# top\n"
    for name, table in profiles.items():
        text = toml_tables.put(text, name, table)
    assert tomllib.loads(text) == {"profiles": profiles}
    chosen = data.draw(st.sampled_from(sorted(profiles)))
    merged = {**profiles[chosen], **values}
    assert tomllib.loads(toml_tables.merge(text, chosen, values))["profiles"] == {**profiles, chosen: merged}
    rest = {name: table for name, table in profiles.items() if name != chosen}
    assert tomllib.loads(toml_tables.drop(text, chosen)).get("profiles", {}) == rest
    assert toml_tables.drop(text, chosen).startswith("# top\n")
