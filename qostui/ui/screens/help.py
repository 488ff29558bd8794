"""Help: the keys that work where it was asked for, read from the bindings themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from ...domain.text import clean
from ..ink import Piece, hints
from ..widgets.key_bar import key_text
from ..widgets.line import Line, Sheet

GROUPS = (
    ("table", "In a table"),
    ("credentials", "In the Credentials pane"),
    ("pane", "In a pane"),
    ("detail", "In the detail"),
    ("app", "Everywhere"),
)
WORDS: tuple[tuple[str, str], ...] = (
    ("text", "rows with this text anywhere"),
    ("state:stuck,replicating", "rows whose column holds one of the values"),
    ("!activity:debug", "not those"),
    ("/run0\\d+/", "a regular expression"),
    ("size>1GB age<3h", "larger than, younger than; all parts must hold"),
)
PLACES = (
    ("rules, rses, transfers, credentials", "the pane"),
    ("where, doctor", "what works where; what is wrong here"),
    ("profile NAME", "switch to another profile"),
    ("theme NAME", "other colours"),
    ("help, quit", ""),
    ("up, down", "with nothing typed: the last jumps"),
)
SIGNS = (
    ("✖", "state-stuck", "wrong"),
    ("▲", "warning", "soon wrong"),
    ("●", "state-replicating", "under way"),
    ("✔", "state-ok", "done"),
    ("‖", "state-suspended", "stopped"),
    ("◆", "state-approval", "waits for a person"),
)


class Dialog(ModalScreen[None]):
    """A sheet over the console; esc closes it."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > Vertical { width: 84; max-width: 100%; height: 90%; max-height: 44; background: $panel; border: round $primary; padding: 0 1; }
    Dialog Line { background: $panel; }
    Dialog Sheet { background: $panel; }
    Dialog:ansi > Vertical { background: ansi_default; }
    """
    AUTO_FOCUS = "Sheet"
    BINDINGS = [Binding("escape,q,question_mark,enter", "dismiss", "close", id="dialog.close")]

    def __init__(self, title: str, lines: Sequence[Sequence[Piece]], indent: int = 0) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._indent = indent

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(self._title, "bold primary")], hints(("esc", "closes")))
            yield Sheet([[], *self._lines], indent=self._indent)


def help_lines(app: App[Any], screen: Screen[object], faults: Sequence[str] = ()) -> list[list[Piece]]:
    """What of the keymap is not taken, the keys of `screen` by group, then how a filter is written."""
    groups: dict[str, dict[str, tuple[list[str], str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        group = (binding.id or "").partition(".")[0]
        entry = groups.setdefault(group, {}).setdefault(binding.id or binding.action, ([], binding.description))
        text = key_text(app, Binding(binding.key, binding.action))
        if text not in entry[0]:
            entry[0].append(text)
    lines: list[list[Piece]] = []
    if faults:
        lines += [[("Not taken from the keymap", "bold warning")], *([(f"  ▲ {clean(fault)}", "warning")] for fault in faults), []]
    for group, title in GROUPS:
        if group not in groups:
            continue
        lines.append([(title, "bold heading")])
        lines += [[(f"  {'  '.join(keys):<20}", "primary bold"), (description, "")] for keys, description in groups[group].values()]
        lines.append([])
    lines.append([("Filter ( / )", "bold heading")])
    lines += [[(f"  {word:<26}", "primary bold"), (meaning, "")] for word, meaning in WORDS]
    lines += [[], [("Go to ( : )", "bold heading")]]
    lines += [[(f"  {word:<36}", "primary bold"), (meaning, "")] for word, meaning in PLACES]
    lines += [[], [("Signs", "bold heading")]]
    lines += [
        [piece for glyph, style, meaning in SIGNS for piece in ((f"  {glyph}", style), (f" {meaning} ", ""))],
        [("  A dimmed row could not be confirmed by the last listing; a lit cell has just changed.", "muted")],
    ]
    return lines


class Help(Dialog):
    """All keys."""

    def __init__(self, app: App[Any], screen: Screen[object], faults: Sequence[str] = ()) -> None:
        super().__init__("Keys and words", help_lines(app, screen, faults))
