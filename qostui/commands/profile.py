"""`qostui profile ...`: the profiles of the configuration, seen and changed from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.errors import UsageProblem
from ..domain.profile import Profile, host_text
from ..domain.text import clean
from ..domain.units import iso

if TYPE_CHECKING:
    from ..config import Settings

KEYS = Profile.keys()
_ABOUT_KEYS = f"keys: {', '.join(KEYS)}. Paths are taken from where you are; empty values are left out."
_CHECKED = """exit code: 0 all are proven; 4 a credential fails (refused, expired, missing, or of another account);
3 nothing but connections fail, so trying again may help; 1 another failure; 2 there is no such profile."""
SECRETS = {
    "password_file": "pass word",
    "password_keyring": "pass word",
    "key": "private key",
    "proxy": "proxy and its key",
    "token_file": "access token",
    "oidc_agent": "access token",
    "client_secret_keyring": "client's secret",
}
"""Key of a profile that says where a secret is -> what is there."""


def register(parser: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    """The actions of `qostui profile`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))

    def add(name: str, run: Any, text: str, *, output: bool = False, epilog: str | None = None) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(
            name,
            help=text,
            description=text,
            epilog=epilog,
            allow_abbrev=False,
            mixed=True,  # of the command line's own parser: options may stand between the words
        )
        if output:
            action.add_argument("-o", dest="output", choices=formats, help="format (table on a terminal, else tsv)")
        action.set_defaults(run=run)
        return action

    add("list", _list, "list them", output=True)
    show = add("show", _show, "all keys of one, and where its secrets are; never a secret", output=True)
    show.add_argument("name", nargs="?", metavar="NAME", help="its name (else the default one)")
    adding = add("add", _add, "write a new one", epilog=_ABOUT_KEYS)
    adding.add_argument("name", metavar="NAME", help="what to call it")
    adding.add_argument("values", nargs="*", metavar="KEY=VALUE", help="such as account=ops; before what --from says")
    adding.add_argument("--from", dest="source", metavar="FILE", type=Path, help="take the rest from the section [client] of a rucio.cfg")
    adding.add_argument("--password-file", metavar="PATH", type=Path, help="with --from: write its pass word to this new file, mode 0600")
    editing = add("edit", _edit, "change one: by KEY=VALUE, else in $VISUAL or $EDITOR", epilog=f"{_ABOUT_KEYS} KEY= takes a key away.")
    editing.add_argument("name", metavar="NAME")
    editing.add_argument("values", nargs="*", metavar="KEY=VALUE")
    removing = add("remove", _remove, "remove one, with its kept rows and its private run-time directory")
    removing.add_argument("name", metavar="NAME")
    removing.add_argument("--yes", action="store_true", help="do not ask for the name again")
    add("use", _use, "make one the default").add_argument("name", metavar="NAME")
    checking = add("check", _check, "log in with each one's credential and ask its Rucio who we are", output=True, epilog=_CHECKED)
    checking.add_argument("names", nargs="*", metavar="NAME", help="which ones (else the default one)")
    checking.add_argument("--all", action="store_true", help="all of them")
    checking.add_argument("--timeout", metavar="S", type=_seconds, help="give up on a profile after S seconds (20)")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 86400:
        raise argparse.ArgumentTypeError("must be more than 0 and less than a day")
    return value


def say(text: str) -> None:
    """A sentence for the operator, beside the data."""
    print(f"qostui: {clean(text)}", file=sys.stderr)


def unknown(name: str, known: Sequence[str]) -> UsageProblem:
    """No profile is called so."""
    near = get_close_matches(name, known, 1)
    return UsageProblem(
        f"no profile is called {name!r}", step=f"did you mean {near[0]}?" if near else f"profiles: {', '.join(known) or 'none'}"
    )


def _list(options: argparse.Namespace) -> int:
    from .. import headless

    settings: Settings = options.load()
    headless.write_records(
        [
            {
                "profile": each.name,
                "default": each.name == settings.default_profile,
                "rucio_host": host_text(each.rucio_host),
                "account": each.account,
                "auth": each.auth,
                "read_only": each.read_only or settings.read_only,
                "color": each.color,
            }
            for each in settings.profiles.values()
        ],
        options.output,
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    from .. import headless

    settings: Settings = options.load()
    profile = settings.profile(options.name or options.profile)
    secrets = [f"{what}: {where}" for what, where in _secrets(profile)]
    values = {key: _plain(getattr(profile, key)) for key in KEYS}
    record = {"profile": profile.name, "default": profile.name == settings.default_profile, **values, "secrets": secrets}
    if options.output == "table" or (options.output is None and sys.stdout.isatty()):
        lines = [{"key": key, "value": value} for key, value in record.items() if key != "secrets"]
        headless.write_records([*lines, *({"key": "secret", "value": each} for each in secrets)], "table")
    else:
        headless.write_records([record], options.output)
    return 0


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value if isinstance(value, bool) else value or None


def _secrets(profile: Profile) -> Iterator[tuple[str, str]]:
    """(what, where it is and what is wrong with the file) of each secret."""
    from ..adapters import secret_files

    for key, what in SECRETS.items():
        value = getattr(profile, key)
        if not value:
            continue
        if not isinstance(value, Path):
            yield what, f"oidc-agent account {value}" if key == "oidc_agent" else f"keyring entry {value}"
            continue
        source = profile.source_of(key)
        try:
            problem = secret_files.mode_problem(value)
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        where = f"file {value}" if source in ("profile", str(value)) else f"file {value} ({source})"
        yield what, f"{where}, which {problem}" if problem else where
    if profile.token is not None:
        is_password = profile.auth == "userpass" and ("password_file", "rucio.cfg") in profile.sources
        yield ("pass word", "rucio.cfg") if is_password else ("access token", profile.source_of("token"))


def _add(options: argparse.Namespace) -> int:
    from . import profile_writing

    return profile_writing.add(options)


def _edit(options: argparse.Namespace) -> int:
    from . import profile_writing

    return profile_writing.edit(options)


def _remove(options: argparse.Namespace) -> int:
    from . import profile_writing

    return profile_writing.remove(options)


def _use(options: argparse.Namespace) -> int:
    from . import profile_writing

    return profile_writing.use(options)


def _check(options: argparse.Namespace) -> int:
    from .. import headless
    from ..services import proving

    if options.all and options.names:
        raise UsageProblem("names and --all exclude each other", step="leave one of them out")
    settings: Settings = options.load()
    if options.all:
        chosen = list(settings.profiles.values())
        if not chosen:
            settings.profile()  # says that nothing is configured, and what to do
    else:
        chosen = [settings.profile(name) for name in dict.fromkeys(options.names or [options.profile])]
    from ..adapters import proof

    proofs = proving.prove_all(chosen, proof.prover(settings.runtime_dir), time_limit_s=options.timeout or proving.TIME_LIMIT_S)
    records = [
        {
            "profile": each.profile.name,
            "rucio_host": host_text(each.profile.rucio_host),
            "account": each.profile.account,
            "auth": each.profile.auth,
            "ok": each.problem is None,
            "account_said": each.account_said or None,
            "expires_at": iso(each.expires),
            "elapsed_ms": round(each.elapsed_s * 1000),
            "problem": each.problem.summary if each.problem is not None else None,
            "step": each.problem.step if each.problem is not None else None,
        }
        for each in proofs
    ]
    headless.write_records(records, options.output)
    failed = [each.profile.name for each in proofs if each.problem is not None]
    if failed:
        say(f"{len(failed)} of {len(proofs)} not proven: {', '.join(failed)}")
    return proving.exit_code(proofs)
