"""The prompt `:`: go to a pane, switch profile, change colours, help, quit; with completion and the last jumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from ...domain.text import clean
from ..commands import Command, matching, spoken
from ..ink import Piece
from .line import Line

REMEMBERED = 50
"""Jumps that are kept, in memory only."""


class JumpInput(Input):
    """The input of the prompt."""

    BINDINGS = [
        Binding("escape", "leave", "leave", show=False, id="jump.leave"),
        Binding("tab", "complete(1)", "next completion", show=False, id="jump.next"),
        Binding("shift+tab", "complete(-1)", "completion before", show=False, id="jump.before"),
        Binding("up", "recall(1)", "earlier jump", show=False, id="jump.earlier"),
        Binding("down", "recall(-1)", "later jump", show=False, id="jump.later"),
    ]

    class Left(Message):
        """The reader leaves the prompt."""

    class Complete(Message):
        """Another completion, forward or back."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Recall(Message):
        """A jump further back, or less far."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_complete(self, step: int) -> None:
        self.post_message(self.Complete(step))

    def action_recall(self, step: int) -> None:
        self.post_message(self.Recall(step))

    async def action_submit(self) -> None:
        """Take the line at once, not by message: a key typed right behind Enter is for what comes after."""
        if isinstance(self.parent, Widget) and isinstance(self.parent.parent, Jump):
            self.parent.parent.take(self.value)


class Jump(Vertical):
    """A line of what there is, and the line where it is typed."""

    DEFAULT_CSS = """
    Jump { display: none; height: 2; dock: bottom; background: $panel; }
    Jump.-open { display: block; }
    Jump Horizontal { height: 1; }
    Jump #colon { width: 3; }
    Jump JumpInput { height: 1; border: none; padding: 0; background: $panel; }
    Jump JumpInput:focus { border: none; }
    Jump Line { background: $panel; }
    """

    class Said(Message):
        """A whole line: the command that it means, None when there is none."""

        def __init__(self, command: Command | None, words: str) -> None:
            super().__init__()
            self.command = command
            self.words = words

    class Closed(Message):
        """The prompt is gone."""

    def __init__(self, commands: Callable[[], Sequence[Command]]) -> None:
        super().__init__()
        self._commands = commands
        self._typed = ""
        self._chosen = -1
        self._history: list[str] = []
        self._back = 0
        """How many jumps ago; 0 while none is recalled."""
        self._before: Widget | None = None
        self.hints = Line()
        self.input = JumpInput(select_on_focus=False)

    def compose(self) -> ComposeResult:
        self.input.cursor_blink = False
        yield self.hints
        with Horizontal():
            yield Line([(" : ", "bold primary")], id="colon")
            yield self.input

    def open(self, text: str = "") -> None:
        """Show the prompt."""
        self._before = self.screen.focused
        self.add_class("-open")
        self._typed, self._chosen, self._back = text, -1, 0
        self.input.value = text
        self.input.cursor_position = len(text)
        # Not `focus()`, which comes a moment later: keys typed in one burst would go to the table, and `:q` would quit.
        self.screen.set_focus(self.input)
        self._hint()

    def close(self) -> None:
        """Hide it and give the focus back at once."""
        self.remove_class("-open")
        self.screen.set_focus(self._before)
        self.post_message(self.Closed())

    def matching(self) -> list[str]:
        """What can be said of what was typed, the likeliest first."""
        return [command.words for command in matching(self._commands(), self._typed)]

    def _hint(self) -> None:
        pieces: list[Piece] = [(" ", "")]
        found = self.matching()
        # What is chosen stays in sight when there are more than the line holds.
        first = max(0, self._chosen - 2)
        for place, words in enumerate(found[first:], first):
            pieces += [(f" {words} ", "bold reverse primary" if place == self._chosen else "muted"), (" ", "")]
        if not found:
            pieces.append(("nothing is called that", "warning"))
        keys: list[Piece] = [("tab", "primary bold"), (" completes ", "muted")]
        if self._history and not self._typed:
            keys = [("up", "primary bold"), (" last jump  ", "muted"), *keys]
        self.hints.show(pieces, keys)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value == self._put:
            return
        self._typed, self._chosen, self._back = event.value, -1, 0
        self._hint()

    @property
    def _put(self) -> str | None:
        """What completion or recall wrote into the line, and nobody has changed since."""
        if self._back:
            return self._history[-self._back]
        found = self.matching()
        return found[self._chosen] if 0 <= self._chosen < len(found) else None

    def _write(self, text: str) -> None:
        self.input.value = text
        self.input.cursor_position = len(text)
        self._hint()

    @on(JumpInput.Complete)
    def _complete(self, event: JumpInput.Complete) -> None:
        if self._back:
            self._typed, self._back = self.input.value, 0
        if found := self.matching():
            self._chosen = (self._chosen + event.step) % len(found) if self._chosen >= 0 else (0 if event.step > 0 else len(found) - 1)
            self._write(found[self._chosen])

    @on(JumpInput.Recall)
    def _recall(self, event: JumpInput.Recall) -> None:
        """With nothing typed the last jumps; else, or when there are none, the completions."""
        if self._typed or self._chosen >= 0 or not self._history:
            self._complete(JumpInput.Complete(-event.step))
            return
        self._back = max(0, min(len(self._history), self._back + event.step))
        self._write(self._history[-self._back] if self._back else "")

    def take(self, text: str) -> None:
        """Close the prompt and pass on what was typed; a `:` in front is forgiven."""
        words = text.strip().lstrip(":").strip()
        command = spoken(self._commands(), words)
        if command is not None:
            self._history = [*(said for said in self._history if said != command.words), command.words][-REMEMBERED:]
        self.close()
        if words:
            self.post_message(self.Said(command, clean(words)))

    @on(JumpInput.Left)
    def _left(self) -> None:
        self.close()
