"""A form for one piece of work with a credential: its fields, what will happen, and how it goes while it is under way.

What is typed as a secret goes into a `Secret` when the form is sent off, and into no message, no preview and no clipboard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input

from ...domain.errors import Problem, UsageProblem
from ...domain.profile import Secret
from ...domain.text import clean
from ...services.credential_actions import Field, Given
from ..ink import hints
from ..widgets.line import Line, Sheet


class SecretInput(Input):
    """An input whose text is seen nowhere: Textual's would send it round in messages, and copy it."""

    def post_message(self, message: Message) -> bool:
        if isinstance(message, (Input.Changed, Input.Blurred)):
            return False
        if isinstance(message, Input.Submitted):
            message = Input.Submitted(self, "")
        return super().post_message(message)

    def action_copy(self) -> None:
        """Nothing: what is in here goes to no clipboard."""

    def action_cut(self) -> None:
        """Nothing, as for copying."""


class Form(ModalScreen[None]):
    """Asks, shows what will happen, and stays until it has been done or was left.

    `preview` says what will happen and raises UsageProblem for what cannot be meant. `send` begins the work and returns at once;
    then `working`, `fault` or `done` say how it goes. `left` hears that the form was left while it was working.
    """

    DEFAULT_CSS = """
    Form { align: center middle; background: $background 60%; }
    Form > Vertical {
        width: 92; max-width: 100%; height: auto; max-height: 90%; background: $panel; border: round $primary; padding: 0 1;
    }
    Form Line, Form Sheet { background: $panel; }
    Form Sheet { height: 3; }
    Form Horizontal { height: 1; }
    Form .label { width: 14; }
    Form Input { height: 1; border: none; padding: 0 1; background: $surface; width: 1fr; }
    Form Input:focus { border: none; background: $cursor; }
    Form:ansi > Vertical { background: ansi_default; }
    """
    AUTO_FOCUS = "Input"
    BINDINGS = [
        Binding("escape", "leave", "leave", id="form.leave"),
        Binding("enter,ctrl+s", "do", "do it", id="form.do"),
        Binding("down", "app.focus_next", "next line", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "line before", show=False, id="form.before"),
        Binding("tab", "app.focus_next", "next line", show=False, id="form.tab"),
        Binding("shift+tab", "app.focus_previous", "line before", show=False, id="form.shift-tab"),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        defaults: Mapping[str, str],
        preview: Callable[[Given], str],
        send: Callable[[Form, Given], None],
        left: Callable[[], None],
    ) -> None:
        super().__init__()
        self._title = title
        self._fields = fields
        self._preview = preview
        self._send = send
        self._left = left
        self._busy = False
        self.inputs: dict[str, Input] = {}
        for field in fields:
            kind = SecretInput if field.secret else Input
            box = kind(defaults.get(field.name, ""), placeholder=field.hint, password=field.secret, select_on_focus=False)
            box.cursor_blink = False
            self.inputs[field.name] = box
        self._words = Sheet()
        self._fault = Sheet()
        for sheet in (self._words, self._fault):
            sheet.can_focus = False  # a form is walked through by its inputs

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(clean(self._title), "bold primary")], hints(("enter", "does it"), ("esc", "leaves")))
            yield Line()
            for field in self._fields:
                with Horizontal():
                    yield Line([(f"  {field.label}", "muted")], classes="label")
                    yield self.inputs[field.name]
            yield Line()
            yield self._words
            yield self._fault

    def on_mount(self) -> None:
        self._show_preview()

    @property
    def given(self) -> Given:
        """What is typed at the moment."""
        secrets = [box.value for box in self.inputs.values() if box.password]
        texts = {name: box.value for name, box in self.inputs.items() if not box.password}
        return Given(texts, Secret(secrets[0]) if secrets and secrets[0] else None)

    def _show_preview(self) -> None:
        texts = {name: box.value for name, box in self.inputs.items() if not box.password}
        try:
            words, ink = self._preview(Given(texts)), ""
        except UsageProblem as problem:
            words, ink = f"{problem.summary}: {problem.step}", "warning"
        self._words.show([[("▸ ", "primary bold"), (clean(words), ink)]], indent=2)

    # --- how it goes -----------------------------------------------------------------------------------------

    def working(self, words: str) -> None:
        """It is under way: nothing can be typed."""
        self._busy = True
        for box in self.inputs.values():
            box.disabled = True
        self._fault.show([[(f"… {clean(words)}", "warning bold")]])

    def fault(self, problem: Problem) -> None:
        """It was not done: say why, forget what was typed as a secret, keep the rest."""
        self._busy = False
        for box in self.inputs.values():
            box.disabled = False
            if box.password:
                box.value = ""
        again = next((box for box in self.inputs.values() if box.password), next(iter(self.inputs.values()), None))
        if again is not None:
            again.focus()
        self._show_fault(problem)

    def _show_fault(self, problem: Problem) -> None:
        self._fault.show([[(f"✖ {clean(problem.summary)}", "error bold")], [(f"  {clean(problem.step)}", "")]], indent=2)

    def done(self) -> None:
        """It was done: the form goes."""
        self._forget()
        if self.is_current:
            self.dismiss(None)

    def _forget(self) -> None:
        for box in self.inputs.values():
            if box.password:
                box.value = ""

    # --- keys ------------------------------------------------------------------------------------------------

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fault.show([])
        self._show_preview()

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        event.stop()
        boxes = list(self.inputs.values())
        if event.input is boxes[-1]:
            self.action_do()
        else:
            boxes[boxes.index(event.input) + 1].focus()

    def action_do(self) -> None:
        """Send it off, unless it is under way or something cannot be meant."""
        if self._busy:
            return
        given = self.given
        try:
            self._preview(given)
        except UsageProblem as problem:
            self._show_fault(problem)
            return
        self._send(self, given)

    def action_leave(self) -> None:
        busy = self._busy
        self._forget()
        self.dismiss(None)
        if busy:
            self._left()
