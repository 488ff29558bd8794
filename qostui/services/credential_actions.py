"""What can be done with a credential, as data: what is asked for, what will happen, and what the desk is told to do.

The screen reads this table; it knows no action by name but the two that need more than a form (VOMS on the terminal, log-in by a
device code).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..domain.credential import Credential
from ..domain.errors import UsageProblem
from ..domain.profile import Profile, Secret, host_text
from ..domain.units import minute_text
from .ports_credentials import ACTIONS, Desk

DEFAULT_HOURS = "12"
MOST_HOURS = 24 * 14
"""A proxy for longer is a key that nobody protects."""
MOST_MINUTES = 60 * 24
"""XRootD gives a day at most where nothing else is configured (`macaroons.maxduration`)."""
ACTIVITIES = ("DOWNLOAD", "UPLOAD", "LIST", "DELETE", "MANAGE", "UPDATE_METADATA", "READ_METADATA")
"""What a macaroon may allow (dCache and XRootD macaroon requests)."""
WORD = "drop"
"""What has to be typed before a credential is deleted."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    label: str
    hint: str
    default: Callable[[Profile, Credential], str] = lambda profile, row: ""
    secret: bool = False


@dataclass(frozen=True)
class Given:
    """What was typed: texts by the name of their field, and the one secret there may be."""

    values: Mapping[str, str]
    secret: Secret | None = None

    def text(self, name: str) -> str:
        """The text of a field without blanks around it."""
        return self.values.get(name, "").strip()


@dataclass(frozen=True)
class Action:
    """One thing that can be done. `preview` and `run` raise UsageProblem for what cannot be meant; `run` blocks and raises Problem."""

    name: str
    preview: Callable[[Profile, Credential, Given], str]
    """What will happen, in one sentence, while it is typed."""
    run: Callable[[Desk, Credential, Given], str]
    """Do it, in a lane; what came of it, in one sentence."""
    fields: tuple[Field, ...] = ()
    keeps: bool = False
    """Needs the keyring: what it brings or takes is kept there."""
    changes: str = ""
    """What it changes elsewhere, so that a read-only profile leaves it; "" for what stays on this machine."""

    @property
    def title(self) -> str:
        return ACTIONS[self.name]


def _number(given: Given, name: str, most: int, what: str) -> float:
    try:
        found = float(given.text(name))
    except ValueError:
        found = -1.0
    if not 0 < found <= most:
        raise UsageProblem(f"{given.text(name) or 'nothing'}: not a number of {what}", step=f"write a number up to {most}")
    return found


def _path(given: Given) -> Path:
    if not given.text("path"):
        raise UsageProblem("no file is named", step="write the path of a file")
    return Path(given.text("path")).expanduser()


def _activities(given: Given) -> tuple[str, ...]:
    wanted = tuple(given.text("activities").upper().replace(",", " ").split())
    unknown = [word for word in wanted if word not in ACTIVITIES]
    if unknown or not wanted:
        raise UsageProblem(f"{', '.join(unknown) or 'nothing'}: no activity of a macaroon", step=f"some of {', '.join(ACTIVITIES)}")
    return wanted


def _address(given: Given) -> str:
    address = given.text("door").replace("davs://", "https://", 1)
    if not address.startswith("https://") or not address.removeprefix("https://"):
        raise UsageProblem("a macaroon is of an https door", step="write https://host:port/path")
    return address


def _scope_and_audience(given: Given) -> tuple[str, str]:
    if not given.text("scope") and not given.text("audience"):
        raise UsageProblem("neither scope nor audience is given", step="write at least one of them")
    return " ".join(given.text("scope").split()), given.text("audience")


def _preview_proxy(profile: Profile, row: Credential, given: Given) -> str:
    where = profile.proxy or "the console's own private place"
    return f"makes a proxy of {profile.certificate} for {_number(given, 'hours', MOST_HOURS, 'hours'):g} h, in {where}"


def _run_proxy(desk: Desk, row: Credential, given: Given) -> str:
    return desk.make_proxy(given.secret, _number(given, "hours", MOST_HOURS, "hours"))


def _preview_voms(profile: Profile, row: Credential, given: Given) -> str:
    return f"leaves this screen for voms-proxy-init ({profile.voms}) and comes back when it has ended"


def _preview_narrow(profile: Profile, row: Credential, given: Given) -> str:
    scope, audience = _scope_and_audience(given)
    parts = [f"scope {scope}" if scope else "the scope as it is", f"audience {audience}" if audience else "the audience as it is"]
    return f"asks for a token with {' and '.join(parts)}, into a private file; the token you have stays"


def _preview_macaroon(profile: Profile, row: Credential, given: Given) -> str:
    minutes = _number(given, "minutes", MOST_MINUTES, "minutes")
    return f"asks {_address(given)} for a macaroon: {', '.join(_activities(given))} for {minutes:g} min, into a private file"


def _run_macaroon(desk: Desk, row: Credential, given: Given) -> str:
    minutes = int(_number(given, "minutes", MOST_MINUTES, "minutes"))
    return f"macaroon in {desk.macaroon(_address(given), _activities(given), max(1, minutes))}"


def _preview_drop(profile: Profile, row: Credential, given: Given) -> str:
    if given.text("word") != WORD:
        raise UsageProblem(f"deletes {row.kind} {row.who} where the console keeps it", step=f"type {WORD} to say that you mean it")
    return f"deletes {row.kind} {row.who} where the console keeps it, and ends the Rucio session made with it"


def _run_drop(desk: Desk, row: Credential, given: Given) -> str:
    if given.text("word") != WORD:
        raise UsageProblem("nothing was deleted", step=f"type {WORD} to say that you mean it")
    return desk.drop(row.id)


def _not_by_form(desk: Desk, row: Credential, given: Given) -> str:
    raise UsageProblem("this is done on a screen of its own")


_PASS_PHRASE = Field("pass_phrase", "pass phrase", "of the key; it is not shown and not kept", secret=True)
_HOURS = Field("hours", "hours", "how long it is to last", lambda profile, row: DEFAULT_HOURS)

TABLE: dict[str, Action] = {
    action.name: action
    for action in (
        Action("proxy", _preview_proxy, _run_proxy, (_HOURS, _PASS_PHRASE)),
        Action("voms", _preview_voms, _not_by_form),
        Action("log-in", lambda profile, row, given: f"logs in at {host_text(profile.issuer)}", _not_by_form, keeps=True),
        Action(
            "refresh",
            lambda profile, row, given: (
                f"asks {'oidc-agent' if profile.oidc_agent else host_text(profile.issuer)} for a new access token in place of this one"
            ),
            lambda desk, row, given: desk.refresh(),
            keeps=True,
        ),
        Action(
            "narrow",
            _preview_narrow,
            lambda desk, row, given: f"token in {desk.narrow(*_scope_and_audience(given))}",
            (
                Field("scope", "scope", "such as storage.read:/data; empty as it is", lambda profile, row: " ".join(row.scopes)),
                Field("audience", "audience", "such as https://door.example.org:443; empty as it is"),
            ),
            keeps=True,
        ),
        Action(
            "macaroon",
            _preview_macaroon,
            _run_macaroon,
            (
                Field("door", "door", "https://host:port/path, the part of the storage that it is to open"),
                Field("activities", "activities", ", ".join(ACTIVITIES), lambda profile, row: "DOWNLOAD, LIST"),
                Field("minutes", "minutes", "how long it is to last", lambda profile, row: "60"),
            ),
        ),
        Action(
            "delegate",
            lambda profile, row, given: f"leaves a proxy of yours at FTS {host_text(profile.fts)}, which acts in your name until it ends",
            lambda desk, row, given: f"FTS holds your proxy until {minute_text(desk.delegate())}",
            changes="FTS would keep a proxy of yours",
        ),
        Action(
            "import",
            lambda profile, row, given: f"looks at {_path(given)} and copies it into the console's private place",
            lambda desk, row, given: desk.take_file(_path(given)),
            (Field("path", "file", "a proxy (PEM) or a token, readable by you alone"),),
        ),
        Action(
            "export",
            lambda profile, row, given: f"writes {row.kind} to {_path(given)}, for you alone (0600); a file that is there stays",
            lambda desk, row, given: desk.export(row.id, _path(given)),
            (Field("path", "new file", "where it is to be written"),),
        ),
        Action(
            "drop",
            _preview_drop,
            _run_drop,
            (Field("word", "word", f"type {WORD}"),),
            keeps=True,
            changes="its session at Rucio would end",
        ),
    )
}
"""Name -> action, in the order of menus."""


@dataclass(frozen=True)
class Choice:
    """One line of the menu."""

    action: Action
    barred: str = ""
    """Why it is not available; "" when it is."""


def choices(row: Credential, *, read_only: bool) -> list[Choice]:
    """What the menu offers for this row."""
    found = []
    for name, action in TABLE.items():
        if name in row.actions:
            barred = f"not in a read-only profile: {action.changes}" if read_only and action.changes else ""
            found.append(Choice(action, barred))
    return found
