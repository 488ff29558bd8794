"""The first-run page: nothing is configured yet. Offers the lake, or writes the first profile."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Input

from ... import config, paths
from ...domain.errors import UsageProblem
from ...domain.profile import AUTH_METHODS
from ...domain.text import clean
from ..ink import Piece, hints
from ..widgets.line import Line

INTRODUCTION: list[list[Piece]] = [
    [("qostui", "bold primary"), (" shows a Rucio data lake live. Nothing is configured yet.", "")],
    [],
    [
        ("To look around", "bold heading"),
        ("  leave with esc, then ", ""),
        ("make demo", "bold"),
        (" in the sources: a small lake of your own", ""),
    ],
    [("To watch a Rucio of yours", "bold heading"), ("  say where it is and who you are:", "")],
]
FIELDS = (
    ("name", "profile", "a short name for it, such as escape"),
    ("rucio_host", "Rucio server", "https://rucio.example.org:443"),
    ("auth_host", "log-in server", "empty when it is the same"),
    ("account", "account", "your Rucio account"),
    ("auth", "log-in by", "userpass, x509, x509_proxy or oidc"),
    ("credential", "credential", "say first how you log in"),
    ("key", "its key", "for x509 only: file of the private key"),
    ("username", "user name", "for userpass only; empty when it is the account"),
    ("ca", "CA file", "PEM file of the server's CA; empty for the public ones"),
)
CREDENTIAL = {
    "userpass": ("password_file", "file with the pass word (0600), or keyring:NAME"),
    "x509": ("certificate", "file of the certificate"),
    "x509_proxy": ("proxy", "file of the proxy, such as /tmp/x509up_u1000"),
    "oidc": ("token_file", "file with the access token"),
}
PLAIN = ("rucio_host", "auth_host", "account", "auth", "username", "ca", "key")
"""Fields that are keys of the file as they stand."""


class FirstRun(Screen[str | None]):
    """Asks for one profile and writes the configuration; answers with its name, or None."""

    DEFAULT_CSS = """
    FirstRun { background: $background; }
    FirstRun VerticalScroll { padding: 1 2; scrollbar-size-vertical: 1; }
    FirstRun Horizontal { height: 1; }
    FirstRun .label { width: 16; }
    FirstRun Input { height: 1; border: none; padding: 0 1; background: $panel; width: 1fr; max-width: 90; }
    FirstRun Input:focus { border: none; background: $cursor; }
    FirstRun .keys { height: 1; }
    FirstRun #fault { margin-top: 1; }
    """
    AUTO_FOCUS = "Input"
    BINDINGS = [
        Binding("escape", "leave", "leave", id="first.leave"),
        Binding("ctrl+s", "write", "write the file", id="first.write"),
        Binding("down", "app.focus_next", "next line", show=False, id="first.next"),
        Binding("up", "app.focus_previous", "line before", show=False, id="first.before"),
        Binding("tab", "app.focus_next", "next line", show=False, id="first.tab"),
        Binding("shift+tab", "app.focus_previous", "line before", show=False, id="first.shift-tab"),
    ]

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()
        self._file = file or paths.config_file()
        self.inputs = {key: Input(placeholder=hint, id=f"first-{key}", select_on_focus=False) for key, _, hint in FIELDS}
        self._fault = Line(id="fault")

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            for pieces in INTRODUCTION:
                yield Line(pieces)
            yield Line()
            for key, label, _ in FIELDS:
                with Horizontal():
                    yield Line([(f"  {label}", "muted")], classes="label")
                    self.inputs[key].cursor_blink = False
                    yield self.inputs[key]
            yield self._fault
        with Vertical(classes="keys"):
            yield Line([(" ", ""), *hints(("enter", "next line"), ("ctrl+s", f"writes {clean(self._file)}"), ("esc", "leaves"))])

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if event.input is self.inputs["auth"]:
            _, hint = CREDENTIAL.get(event.value.strip(), ("", "say first how you log in"))
            self.inputs["credential"].placeholder = hint
        self._fault.show([])

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        if event.input is self.inputs[FIELDS[-1][0]]:
            self.action_write()
        else:
            self.focus_next()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_write(self) -> None:
        """Check, write, and answer with the profile's name."""
        given = {key: box.value.strip() for key, box in self.inputs.items()}
        try:
            name, values = profile_of(given)
            config.write_profiles(self._file, {name: values}, default_profile=name)
        except UsageProblem as problem:
            self._fault.show([(f"✖ {clean(problem.summary)}", "error bold"), (f"   {clean(problem.step)}", "")])
        except OSError as error:
            self._fault.show([(f"✖ {clean(self._file)} cannot be written: {clean(error.strerror)}", "error bold")])
        else:
            self.dismiss(name)


def profile_of(given: dict[str, str]) -> tuple[str, dict[str, object]]:
    """Name and keys of the profile that was typed; raises UsageProblem."""
    auth = given["auth"]
    for key, label, hint in FIELDS:
        if key in ("name", "rucio_host", "account") and not given[key]:
            raise UsageProblem(f"{label}: nothing is given", step=hint)
    if auth not in AUTH_METHODS:
        raise UsageProblem(f"log-in by {auth!r} is not known", step=f"one of: {', '.join(AUTH_METHODS)}")
    values: dict[str, object] = {key: given[key] for key in PLAIN if given[key]}
    key = CREDENTIAL[auth][0]
    if auth == "userpass" and given["credential"].startswith("keyring:"):
        key, given = "password_keyring", {**given, "credential": given["credential"].removeprefix("keyring:")}
    if given["credential"]:
        values[key] = given["credential"]
    return given["name"], values
