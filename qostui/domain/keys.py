"""Keys as data: what every binding is called and its keys, who is active together, and what a keymap makes of it.

The widgets declare the same bindings with their actions; a test holds the two together. Here they can be read without
a screen, so that `qostui config check` knows them. Names of keys are those of Textual 8.2.8 (`textual.keys`).
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

PLACES: dict[str, dict[str, str]] = {
    "table": {
        "table.open": "enter,d",
        "table.sort": "s",
        "table.mark": "space",
        "table.copy-cell": "y",
        "table.down": "down,j",
        "table.up": "up,k",
        "table.page-down": "pagedown",
        "table.page-up": "pageup",
        "table.first": "home,g",
        "table.last": "end,G",
        "table.right": "right,l",
        "table.left": "left,h",
    },
    "pane": {
        "pane.filter": "/",
        "pane.refresh": "r,ctrl+r",
        "pane.copy": "c",
        "pane.copy-table": "Y",
        "pane.columns": "w",
        "pane.problem": "e",
        "pane.back": "escape",
    },
    "credentials": {"credentials.actions": "a", "credentials.where": "m", "credentials.doctor": "o"},
    "detail": {"detail.close": "escape,enter,d"},
    "sheet": {
        "sheet.down": "down,j",
        "sheet.up": "up,k",
        "sheet.page-down": "pagedown",
        "sheet.page-up": "pageup",
        "sheet.top": "home,g",
        "sheet.end": "end,G",
    },
    "filter": {"filter.leave": "escape", "filter.take": "tab,shift+tab"},
    "jump": {"jump.leave": "escape", "jump.next": "tab", "jump.before": "shift+tab", "jump.earlier": "up", "jump.later": "down"},
    "dialog": {"dialog.close": "escape,q,?,enter"},
    "switch": {"switch.leave": "escape,q"},
    "columns": {
        "columns.leave": "escape,q",
        "columns.take": "enter",
        "columns.down": "down,j",
        "columns.up": "up,k",
        "columns.toggle": "space",
        "columns.wider": "right,+,l",
        "columns.narrower": "left,minus,h",
        "columns.plain": "backspace,delete",
    },
    "actions": {
        "actions.leave": "escape,q",
        "actions.take": "enter",
        "actions.down": "down,j",
        "actions.up": "up,k",
        "actions.proxy": "p",
        "actions.voms": "v",
        "actions.log-in": "l",
        "actions.refresh": "r",
        "actions.narrow": "n",
        "actions.macaroon": "m",
        "actions.delegate": "f",
        "actions.import": "i",
        "actions.export": "e",
        "actions.drop": "d",
    },
    "form": {
        "form.leave": "escape",
        "form.do": "enter,ctrl+s",
        "form.next": "down",
        "form.before": "up",
        "form.tab": "tab",
        "form.shift-tab": "shift+tab",
    },
    "device": {"device.leave": "escape,q", "device.copy": "c"},
    "report": {"report.leave": "escape,q", "report.again": "r,ctrl+r"},
    "first": {
        "first.leave": "escape",
        "first.write": "ctrl+s",
        "first.next": "down",
        "first.before": "up",
        "first.tab": "tab",
        "first.shift-tab": "shift+tab",
    },
    "main": {
        "app.jump": ":",
        "app.help": "?",
        "app.switch": "ctrl+t",
        "app.palette": "ctrl+p",
        "app.redraw": "ctrl+l",
        "app.next-pane": "tab,]",
        "app.pane-before": "shift+tab,[",
        "app.last-pane": "-",
        "app.pane-1": "1",
        "app.pane-2": "2",
        "app.pane-3": "3",
        "app.pane-4": "4",
    },
    "everywhere": {"app.quit": "q,ctrl+c,ctrl+q"},
}
"""Place -> name of a binding -> its keys."""
DEFAULTS: dict[str, str] = {name: keys for place in PLACES.values() for name, keys in place.items()}
EDITING = (
    "left,shift+left,ctrl+left,ctrl+shift+left,right,shift+right,ctrl+right,ctrl+shift+right,backspace,ctrl+shift+a,home,ctrl+a,end,"
    "ctrl+e,shift+home,shift+end,delete,ctrl+d,enter,ctrl+w,ctrl+u,super+backspace,ctrl+backspace,alt+backspace,ctrl+k,ctrl+x,ctrl+c,"
    "super+c,ctrl+v"
)
"""Keys that edit wherever text is typed (`textual.widgets.Input`)."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Places that hear keys together, from the focus outwards."""

    title: str
    places: tuple[str, ...]
    typing: bool = False
    """Text is typed at the focus: whatever can be printed is text there."""


CHAINS = (
    Chain("in a table", ("table", "pane", "main", "everywhere")),
    Chain("in the table of credentials", ("table", "credentials", "pane", "main", "everywhere")),
    Chain("in the detail", ("detail", "sheet", "pane", "main", "everywhere")),
    Chain("in the detail of a credential", ("detail", "sheet", "credentials", "pane", "main", "everywhere")),
    Chain("in a dialog", ("sheet", "dialog", "everywhere")),
    Chain("in the profile picker", ("table", "switch", "everywhere")),
    Chain("in the column chooser", ("columns", "everywhere")),
    Chain("in the menu of actions", ("actions", "everywhere")),
    Chain("at a log-in by a code", ("sheet", "device", "everywhere")),
    Chain("in a report", ("table", "report", "everywhere")),
    Chain("in the detail of a report", ("detail", "sheet", "report", "everywhere")),
    Chain("in a form", ("form", "everywhere"), typing=True),
    Chain("in the filter", ("filter", "pane", "main", "everywhere"), typing=True),
    Chain("at the prompt :", ("jump", "main", "everywhere"), typing=True),
    Chain("on the first page", ("first", "everywhere"), typing=True),
)
TYPING = frozenset(name for chain in CHAINS if chain.typing for name in PLACES[chain.places[0]])

NAMED = frozenset(
    {"up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete", "backspace", "tab", "enter", "escape", "space"}
    | {f"f{number}" for number in range(1, 25)}
)
MODIFIERS = frozenset({"alt", "ctrl", "hyper", "meta", "shift", "super"})
WRITTEN = {"esc": "escape", "pgup": "pageup", "pgdn": "pagedown", "pgdown": "pagedown", "del": "delete", "ins": "insert", "return": "enter"}
"""Names that keyboards and this program's own lines use."""
SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape"}
"""Keys that a terminal cannot tell apart."""
_SHORTER = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def _name(character: str) -> str:
    if character.isalnum():
        return character
    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return _SHORTER.get(name, name)


CHARACTERS = {_name(character): character for character in string.punctuation + " "}
"""Name of a key -> what it prints, for those that are no letter or digit."""


def canonical(key: str) -> str:
    """The one name of a key: `/` is `slash`, `esc` is `escape`; raises ValueError saying what is wrong with it."""
    text = key.strip()
    # In `+` and `ctrl++` the last one is the key itself.
    before, _, last = (text[:-1].removesuffix("+"), "", "+") if text == "+" or text.endswith("++") else text.rpartition("+")
    modifiers = before.split("+") if before else []
    for word in modifiers:
        if word not in MODIFIERS:
            raise ValueError(f"{word!r} is no modifier; there are {', '.join(sorted(MODIFIERS))}")
    if len(last) == 1 and last.isprintable():
        name = _name(last)
    else:
        name = WRITTEN.get(last, last)
        if name not in NAMED and name not in CHARACTERS:
            near = get_close_matches(name, [*NAMED, *CHARACTERS, *WRITTEN], 1)
            raise ValueError(f"{text!r} is no key" + (f"; did you mean {near[0]}?" if near else ""))
    if modifiers == ["shift"] and printed(name):
        raise ValueError(f"write {text!r} as the character that it types")
    found = "+".join([*sorted(modifiers), name.lower() if "ctrl" in modifiers else name])
    return SAME.get(found, found)


def printed(key: str) -> bool:
    """Does this key (by its canonical name) type a character."""
    return len(key) == 1 or key in CHARACTERS


def split(keys: str) -> tuple[str, ...]:
    """The canonical names of keys written with commas between; a lone comma is the key itself. Raises ValueError."""
    parts = [","] if keys.strip() == "," else keys.split(",")
    return tuple(dict.fromkeys(canonical(part) for part in parts))


@dataclass(frozen=True, slots=True)
class Rebinding:
    """Other keys for a binding, as somebody wrote them."""

    keys: object
    """A text is right; whatever else was written is named in the fault."""
    where: str = ""
    """`file:line`."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """What of a keymap holds: name of a binding -> keys; and one sentence for each that does not."""

    keys: Mapping[str, str]
    faults: tuple[str, ...] = ()


def resolve(wanted: Mapping[str, Rebinding]) -> Keymap:
    """Take the rebindings that are sound; one that is wrong or would give a key two meanings leaves its binding as it was."""
    faults: list[str] = []
    taken: dict[str, tuple[str, ...]] = {}
    for name, rebinding in wanted.items():
        try:
            taken[name] = _checked(name, rebinding.keys)
        except ValueError as error:
            faults.append(_said(rebinding, str(error)))
    while clash := _first_clash(taken):
        name, fault = clash
        del taken[name]
        faults.append(_said(wanted[name], fault))
    return Keymap({name: ",".join(keys) for name, keys in taken.items()}, tuple(faults))


def _said(rebinding: Rebinding, text: str) -> str:
    return f"{rebinding.where}: {text}" if rebinding.where else text


def _checked(name: str, keys: object) -> tuple[str, ...]:
    if name not in DEFAULTS:
        near = get_close_matches(name, DEFAULTS, 1, 0.4)
        raise ValueError(f"no binding is called {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
    if not isinstance(keys, str):
        raise ValueError(f"{name}: a text in quotes is needed, such as {DEFAULTS[name]!r}")
    try:
        found = split(keys)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if name in TYPING and (typed := next((key for key in found if printed(key)), None)):
        raise ValueError(f"{name}: {CHARACTERS.get(typed, typed)!r} is text where this works; take a key that types nothing")
    return found


def _first_clash(taken: Mapping[str, tuple[str, ...]]) -> tuple[str, str] | None:
    """(the rebinding that must go, why), of two that are rebound the later one."""
    order = list(taken)
    for chain in CHAINS:
        meant = shared(chain, {})
        for key, first, second in sorted(shared(chain, taken)):
            rebound = [name for name in (first, second) if name in taken]
            if (key, first, second) in meant or not rebound:
                continue
            loser = max(rebound, key=order.index)
            other = (second if loser == first else first) or "editing of the text"
            return loser, f"{loser}: {CHARACTERS.get(key, key)} already means {other} {chain.title}; it stays on {DEFAULTS[loser]}"
    return None


def shared(chain: Chain, taken: Mapping[str, tuple[str, ...]]) -> set[tuple[str, str, str]]:
    """(key, binding, binding or "" for editing) wherever a key means two things within the chain."""
    found: set[tuple[str, str, str]] = set()
    seen: dict[str, list[str]] = {}
    if chain.typing:
        seen = {key: [""] for key in split(EDITING)}
    for name, keys in _bound(chain, taken):
        for key in keys:
            if chain.typing and printed(key):
                continue
            for other in seen.setdefault(key, []):
                found.add((key, max(name, other), min(name, other)))
            seen[key].append(name)
    return found


def _bound(chain: Chain, taken: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for place in chain.places:
        for name, keys in PLACES[place].items():
            yield name, taken.get(name) or split(keys)
