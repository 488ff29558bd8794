"""Text from outside, made harmless in one place (design section 5: servers' text is hostile)."""

from __future__ import annotations

import unicodedata

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidi overrides, zero-width, tags), surrogates, private, unassigned, line and paragraph separators."""


class SafeText(str):
    """A string without control, escape, bidirectional or zero-width characters; made only by `clean`.

    Widgets and tables accept this type only; whoever needs the raw value for a call keeps it beside.
    """

    __slots__ = ()


def clean(value: object) -> SafeText:
    r"""One safe line from any value: harmful characters are shown as `\xNN`, `\uNNNN` or `\UNNNNNNNN`.

    None becomes the empty text. Bytes are decoded as UTF-8, undecodable ones shown as `\xNN`.
    """
    if type(value) is SafeText:
        return value
    if value is None:
        return SafeText("")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = value if type(value) is str else str(value)
    if text.isascii() and text.isprintable():
        return SafeText(text)
    return SafeText("".join(c if _harmless(c) else _visible(c) for c in text))


def _harmless(character: str) -> bool:
    return character.isprintable() and unicodedata.category(character) not in _HIDDEN_CATEGORIES


def _visible(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
