"""What an operator does with a credential, from the menu to the sentence that says what came of it.

Everything the desk does happens in a lane; the screen shows how it goes, can be left at any time, and is told the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..domain.credential import Credential
from ..domain.errors import Problem, UsageProblem
from ..domain.profile import Secret, host_text
from ..domain.table import Row
from ..domain.text import clean
from ..services.credential_actions import TABLE, Action, Field, Given, choices
from ..services.errands import Errand
from ..services.feeds import Cancel
from ..services.ports_credentials import Desk, DeviceCode
from .ports import SessionPort

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from textual.screen import Screen

    from .screens.credential_forms import Form

T = TypeVar("T")
LOG_IN_S = 3600.0
"""Seconds that a person may take in the browser; a provider's code holds for less."""
KEYRING = Field("pass_phrase", "pass phrase", "at the first time this one is taken; it is kept until the console ends", secret=True)


class Host(Protocol):
    """What this asks of the app."""

    session: SessionPort | None
    now: Callable[[], datetime]

    def push_screen(self, screen: Screen[Any], callback: Callable[[Any], Any] | None = None) -> object: ...

    def call_later(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool: ...

    def say(self, text: str, severity: str = "information") -> None: ...

    def copy(self, text: str, what: str) -> None: ...

    def suspend(self) -> AbstractContextManager[None]: ...

    def action_redraw(self) -> None: ...


@dataclass(frozen=True)
class _Ready:
    """What has to be asked for before the form."""

    keyring: str
    """Path of the encrypted file that a pass phrase opens; "" when none is needed."""
    key_is_encrypted: bool


class DeskWork:
    """The work with the credentials of one session."""

    def __init__(self, app: Host, session: SessionPort) -> None:
        self._app = app
        self._session = session

    def ask_for_keyring(self) -> None:
        """Ask for the pass phrase of the keyring file if the log-in cannot do without; then everything is asked for again."""

        def known(path: str | None, problem: Problem | None) -> None:
            if path:
                self._ask_pass_phrase(path, self._all_again)

        self._begin("the keyring", lambda desk, cancel: desk.needs_pass_phrase(), known)

    def _all_again(self) -> None:
        for view in self._session.views:
            self._session.feed(view.id).refresh()

    # --- what is to be done ----------------------------------------------------------------------------------

    def choose(self, row: Credential | None) -> None:
        """Open the menu for this row."""
        if row is None:
            self._app.say("no credential is under the cursor", "warning")
            return
        offered = choices(row, read_only=self._session.identity().read_only)
        if not offered:
            self._app.say(f"{row.kind}: there is nothing that the console could do with it", "warning")
            return
        from .screens.actions import Actions

        self._app.push_screen(Actions(row, offered), partial(self._chosen, row))

    def _chosen(self, row: Credential, name: str | None) -> None:
        if name is None:
            return
        action = TABLE[name]

        def look(desk: Desk, cancel: Cancel) -> _Ready:
            return _Ready(desk.needs_pass_phrase() if action.keeps else "", action.name == "proxy" and desk.key_is_encrypted())

        def looked(ready: _Ready | None, problem: Problem | None) -> None:
            if problem is not None or ready is None:
                self._tell(problem)
            elif ready.keyring:
                self._ask_pass_phrase(ready.keyring, partial(self._fill, action, row, ready))
            else:
                self._fill(action, row, ready)

        self._begin(f"{name}: what it needs", look, looked)

    def _ask_pass_phrase(self, path: str, then: Callable[[], None]) -> None:
        from .screens.credential_forms import Form

        def send(form: Form, given: Given) -> None:
            if given.secret is None:
                form.fault(UsageProblem("no pass phrase was typed", step="type it, or leave with esc"))
                return
            secret: Secret = given.secret

            def opened(_: object, problem: Problem | None) -> None:
                if problem is not None:
                    self._fault(form, problem)
                else:
                    form.done()
                    then()

            form.working("opening the keyring file")
            self._begin("opening the keyring", lambda desk, cancel: desk.open_keyring(secret), opened)

        def preview(given: Given) -> str:
            return f"opens {path} for this run; it is made where it is not there yet"

        self._app.push_screen(Form("Pass phrase of the keyring file", [KEYRING], {}, preview, send, self._left("opening the keyring")))

    def _fill(self, action: Action, row: Credential, ready: _Ready) -> None:
        """The form of an action, and what it sends off."""
        if action.name == "log-in":
            self._log_in()
            return
        from .screens.credential_forms import Form

        profile = self._session.profile
        fields = [each for each in action.fields if not each.secret or ready.key_is_encrypted]
        defaults = {each.name: each.default(profile, row) for each in fields}

        def send(form: Form, given: Given) -> None:
            form.working(f"{action.title}; esc leaves it, and it goes on")
            if action.name == "voms":
                self._voms(form)
            else:
                self._begin(action.title, lambda desk, cancel: action.run(desk, row, given), partial(self._done, form))

        title = action.title[0].upper() + action.title[1:]
        self._app.push_screen(Form(title, fields, defaults, partial(action.preview, profile, row), send, self._left(action.title)))

    def _left(self, what: str) -> Callable[[], None]:
        return lambda: self._app.say(f"{what}: it goes on, and you will be told how it ended")

    def _done(self, form: Form, sentence: str | None, problem: Problem | None) -> None:
        self._session.feed("credentials").refresh()
        if problem is not None:
            self._fault(form, problem)
            return
        form.done()
        self._app.say(f"✔ {sentence}")

    def _fault(self, form: Form, problem: Problem) -> None:
        """In the form where it is still open, else over whatever is."""
        if form.is_attached and form.is_current:
            form.fault(problem)
        else:
            self._tell(problem)

    def _tell(self, problem: Problem | None) -> None:
        if problem is not None:
            self._app.say(f"✖ {problem.summary}{f': {problem.step}' if problem.step else ''}", "error")

    # --- what takes more than a form -------------------------------------------------------------------------

    def _voms(self, form: Form) -> None:
        def known(command: tuple[Sequence[str], dict[str, str]] | None, problem: Problem | None) -> None:
            if command is None:
                self._done(form, None, problem)
            elif not form.is_attached:
                self._app.say("voms-proxy-init was not started: its form was left", "warning")
            else:
                self._lend_terminal(form, *command)

        self._begin("voms-proxy-init", lambda desk, cancel: desk.voms_command(), known)

    def _lend_terminal(self, form: Form, arguments: Sequence[str], environment: dict[str, str]) -> None:
        from textual.app import SuspendNotSupported

        status, trouble = 0, None
        try:
            with self._app.suspend():
                print(f"qostui: {clean(' '.join(arguments))}", flush=True)
                try:
                    status = self._session.on_terminal(arguments, environment)
                except Problem as problem:  # one that left the block would leave the terminal suspended
                    trouble = problem
        except SuspendNotSupported:
            trouble = UsageProblem("this terminal cannot be lent to another program", step=f"run it yourself: {' '.join(arguments)}")
        else:
            self._app.action_redraw()
        if trouble is not None:
            form.fault(trouble)
            return
        self._begin("looking at the proxy", lambda desk, cancel: desk.check_proxy(status), partial(self._done, form))

    def _log_in(self) -> None:
        from .screens.device_login import DeviceLogin

        errand: list[Errand] = []

        def left() -> None:
            for each in errand:
                each.call_off()
            self._app.say("the log-in was given up; nothing was kept")

        screen = DeviceLogin(host_text(self._session.profile.issuer), self._app.now, self._app.copy, left)

        def told(code: DeviceCode) -> None:
            self._app.call_later(screen.show_code, code)

        def logged_in(sentence: str | None, problem: Problem | None) -> None:
            self._session.feed("credentials").refresh()
            if screen.is_attached and screen.is_current:
                screen.dismiss(None)
            if problem is not None:
                self._tell(problem)
            else:
                self._app.say(f"✔ {sentence}")

        self._app.push_screen(screen)
        errand.append(self._begin("log-in", lambda desk, cancel: desk.log_in(told, cancel), logged_in, time_limit_s=LOG_IN_S))

    # --- reports ---------------------------------------------------------------------------------------------

    def report(self, name: str, title: str) -> None:
        """Open the report `where` or `doctor`."""
        from .screens.report import Report

        def begin(take: Callable[[Sequence[Row]], None], ended: Callable[[Problem | None], None]) -> Errand:
            return self._session.report(
                name,
                lambda rows: self._on_screen(take, rows),
                lambda _, problem: self._on_screen(ended, problem),
            )

        try:
            view = self._session.report_view(name)
        except Problem as problem:
            self._tell(problem)
            return
        self._app.push_screen(Report(title, view, self._app.now, begin))

    # --- lanes -----------------------------------------------------------------------------------------------

    def _begin(
        self,
        name: str,
        work: Callable[[Desk, Cancel], T],
        then: Callable[[T | None, Problem | None], None],
        *,
        time_limit_s: float = 60.0,
    ) -> Errand:
        """Begin work in a lane; `then` runs on the screen's thread, unless another profile is open by then."""
        return self._session.begin(name, work, lambda found, problem: self._on_screen(then, found, problem), time_limit_s=time_limit_s)

    def _on_screen(self, then: Callable[..., None], *found: object) -> None:
        def unless_switched() -> None:
            if self._app.session is self._session:
                then(*found)

        self._app.call_later(unless_switched)
