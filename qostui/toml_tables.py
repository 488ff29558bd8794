"""Changes to the profiles in the text of a configuration: comments and all else stay, and that is checked before it counts.

Text in, text out. What comes out is parsed and compared with what the change means. Where the two differ (profiles that are
written in a way not thought of here) nothing is changed, and a person is asked to do it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomlkit

from .domain.errors import UsageProblem

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def put(text: str, name: str, values: Mapping[str, Any]) -> str:
    """The profile with these values and no others; a new one goes to the end."""
    return put_body(text, name, "".join(_line(key, value) for key, value in values.items() if value is not None))


def put_body(text: str, name: str, body: str) -> str:
    """The profile with this text between its header and the next; a new one goes to the end."""
    meant = tomllib.loads(text)
    known = name in meant.setdefault("profiles", {})
    meant["profiles"][name] = tomllib.loads(body)
    if not known:
        header = f"[profiles.{name if _BARE.fullmatch(name) else json.dumps(name)}]"
        changed = f"{text.rstrip()}\n\n{header}\n{body.rstrip()}\n".lstrip("\n")
    elif block := _block(text, name):
        _, start, end, _ = block
        changed = f"{text[:start]}{body.rstrip()}\n{text[end:]}"
    else:
        document = _tables(text)
        document["profiles"][name] = meant["profiles"][name]
        changed = tomlkit.dumps(document)
    return _checked(changed, meant, name)


def merge(text: str, name: str, changes: Mapping[str, Any]) -> str:
    """The profile with these keys changed or added; None takes a key away. Raises KeyError for a profile that is not there."""
    meant = tomllib.loads(text)
    _apply(meant["profiles"][name], changes)
    if block := _block(text, name):
        _, start, end, _ = block
        keys = _tables(text[start:end])
        _apply(keys, changes)
        changed = f"{text[:start]}{tomlkit.dumps(keys).rstrip()}\n{text[end:]}"
    else:
        document = _tables(text)
        _apply(document["profiles"][name], changes)
        changed = tomlkit.dumps(document)
    return _checked(changed, meant, name)


def drop(text: str, name: str) -> str:
    """Without this profile; as default profile it goes too. Raises KeyError for a profile that is not there."""
    meant = tomllib.loads(text)
    del meant["profiles"][name]
    if meant.get("default_profile") == name:
        del meant["default_profile"]
        document = _tables(text)
        del document["default_profile"]
        text = tomlkit.dumps(document)
    if block := _block(text, name):
        header, _, end, _ = block
        before, after = text[:header].rstrip("\n"), text[end:].lstrip("\n")
        changed = f"{before}\n\n{after}" if before and after else after or (f"{before}\n" if before else "")
    else:
        document = _tables(text)
        del document["profiles"][name]
        changed = tomlkit.dumps(document)
    return _checked(changed, meant, name)


def set_default(text: str, name: str) -> str:
    """With this default profile."""
    meant, document = tomllib.loads(text), _tables(text)
    meant["default_profile"] = name
    document["default_profile"] = name
    return _checked(tomlkit.dumps(document), meant, name)


def body(text: str, name: str) -> str:
    """The keys of a profile as they stand in the file, comments between them included. Raises KeyError."""
    if block := _block(text, name):
        return block[3]
    return "".join(_line(key, value) for key, value in tomllib.loads(text)["profiles"][name].items())


def _tables(text: str) -> Any:
    """What tomlkit reads; `Any`, since it gives every item the same type."""
    return tomlkit.parse(text)


def _block(text: str, name: str) -> tuple[int, int, int, str] | None:
    """Where the header of a profile begins, where its keys begin and end, and their text; None without a header of its own.

    What stands behind the last key, blank lines and comments, introduces the next table and is not part of the profile.
    """
    whole = _tables(text)["profiles"][name].as_string()
    keys = _up_to_last_key(whole)
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    header = re.compile(rf"^[ \t]*\[[ \t]*[\"']?profiles[\"']?[ \t]*\.[ \t]*{quoted}[ \t]*\][^\n]*(?:\n|\Z)", re.MULTILINE)
    for found in header.finditer(text):
        if text.startswith(whole, found.end()):
            return found.start(), found.end(), found.end() + len(keys), keys
    return None


def lines(text: str) -> list[str]:
    """Lines with their ends; TOML knows no others than these, while str.splitlines would cut values at U+2028 and the like."""
    return re.split(r"(?<=\n)(?!\Z)", text)


def _up_to_last_key(body: str) -> str:
    split = lines(body)
    last = max((number for number, line in enumerate(split, 1) if line.strip() and not line.lstrip().startswith("#")), default=0)
    keys = "".join(split[:last])
    try:
        # The last line of a text over several lines may look like a comment.
        return keys if tomllib.loads(keys) == tomllib.loads(body) else body
    except tomllib.TOMLDecodeError:
        return body


def _apply(table: Any, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if value is not None:
            table[key] = value
        elif key in table:
            del table[key]


def _line(key: str, value: Any) -> str:
    return f"{key} = {tomlkit.item(value if isinstance(value, bool) else str(value)).as_string()}\n"


def _checked(text: str, meant: dict[str, Any], name: str) -> str:
    if not meant.get("profiles"):
        meant.pop("profiles", None)
    try:
        made = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        made = {}
    if not made.get("profiles"):
        made.pop("profiles", None)
    if made != meant:
        raise UsageProblem(
            f"profile {name} cannot be changed here without harm to the rest of the file", step="change it by hand: qostui config path"
        )
    return text
