"""The command line: arguments, exit codes, and the wiring of layers. Nothing heavy is imported before it is needed.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 cannot connect, 4 credential, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .domain.errors import Problem, UsageProblem

if TYPE_CHECKING:
    from .config import Settings

INTERRUPTED = 130
_PR_SET_DUMPABLE = 4
FORMATS = ("table", "json", "jsonl", "csv", "tsv")
VIEWS = {
    "rses": ("rses", "RSEs with quality of service, space and doors"),
    "rules": ("rules", "replication rules, the most urgent first"),
    "requests": ("requests", "transfers: requests, FTS, totals of links"),
    "creds": ("credentials", "credentials of the profile and what runs out"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `qostui` with these arguments; returns the exit code and never raises for what an operator can meet."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _tolerant_output()
    try:
        lake = _lake_arguments(arguments)
        if lake is not None:
            from .lake.command import main as lake_main

            return lake_main(lake)
        options = _parser().parse_args(_with_dashes(arguments))
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Problem as problem:
        _say(problem)
        return problem.exit_code


def _tolerant_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _say(problem: Problem) -> None:
    from .domain.text import clean

    print(f"qostui: {clean(problem.summary)}", file=sys.stderr)
    if problem.step:
        print(f"        {clean(problem.step)}", file=sys.stderr)


def _lake_arguments(arguments: list[str]) -> list[str] | None:
    """What comes after `lake`, when that is the command."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] in ("--profile", "-p") else 1
    return arguments[position + 1 :] if arguments[position : position + 1] == ["lake"] else None


def _with_dashes(arguments: list[str]) -> list[str]:
    """`--sort -size` as `--sort=-size`: argparse would take the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--sort", "--filter") and argument.startswith("-"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


class _Parser(argparse.ArgumentParser):
    """Wrong arguments are a Problem; what a command takes is said by `fill` once it is asked for: others pay nothing for it.

    `mixed`: options may stand between the words of a command too.
    """

    def __init__(self, *, fill: Callable[[argparse.ArgumentParser], None] | None = None, mixed: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._fill = fill
        self._mixed = mixed

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        if not self._mixed:
            return super().parse_known_args(args, namespace)
        self._mixed = False  # it comes back here for each kind of word
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixed = True

    def error(self, message: str) -> NoReturn:
        raise UsageProblem(message, step=f"{self.prog} --help says what is possible")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="qostui",
        allow_abbrev=False,
        description="Operate a Rucio data lake by quality of service. Without a command: the console.",
        epilog="Without a terminal, with TERM=dumb or with --once the bare command prints its panes as tables.",
    )
    parser.add_argument("--version", action="version", version=f"qostui {__version__}")
    parser.add_argument("--profile", "-p", metavar="P", help="the profile to use (see: qostui profile list)")
    parser.add_argument("--read-only", action="store_true", help="change nothing outside, whatever is asked")
    parser.add_argument(
        "--ssh",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write less to the terminal, for slow lines; over SSH that is so by itself, and --no-ssh turns it off",
    )
    parser.add_argument("--once", action="store_true", help="print the panes as tables and exit")
    parser.set_defaults(run=_console, load=_settings, guard=_keep_memory_private)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for name, (view_id, text) in VIEWS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == "rses":
            command.add_argument("expression", nargs="?", default="", metavar="EXPR", help="RSE expression, such as QOS=SAFE")
        _list_options(command)
        command.set_defaults(run=_list, view_id=view_id)
    doors = commands.add_parser(
        "doors",
        help="which credential each storage door takes, and why not",
        description="Which credential of the profile each storage door takes, from what is known without asking it.",
        allow_abbrev=False,
    )
    doors.add_argument("expression", nargs="?", default="", metavar="RSE", help="an RSE, or an RSE expression such as QOS=SAFE")
    doors.add_argument("--live", action="store_true", help="show each credential to each door, and say what it did")
    _list_options(doors)
    doors.set_defaults(run=_doors)
    commands.add_parser(
        "profile", help="the profiles of the configuration: list, show, add, edit, remove, use, check", fill=_profile_actions
    )
    doctor = commands.add_parser(
        "doctor",
        help="find what is wrong with this machine, credentials and servers, and how to mend it",
        description="Find what is wrong with this machine, a profile's credentials and its servers, and say how to mend it.",
        epilog="Exit codes: 0 no fault, 1 faults, 4 one of them is about a credential. Warnings and notes are no faults.",
        allow_abbrev=False,
    )
    which = doctor.add_mutually_exclusive_group()
    which.add_argument("--profile", "-p", metavar="P", default=argparse.SUPPRESS, help="the profile to examine")
    which.add_argument("--all", action="store_true", dest="every_profile", help="examine all profiles")
    doctor.add_argument("--all-findings", action="store_true", help="list what is well too")
    doctor.add_argument("-o", dest="output", choices=FORMATS, help="format (table, a report, on a terminal, else tsv)")
    doctor.set_defaults(run=_doctor)
    config = commands.add_parser("config", help="the configuration file").add_subparsers(
        metavar="ACTION", required=True, parser_class=_Parser
    )
    config.add_parser("check", help="say what is wrong with it and with the keymap").set_defaults(run=_config_check)
    config.add_parser("path", help="say where it is").set_defaults(run=_config_path)
    commands.add_parser("lake", help="the embedded data lake: install, up, down, status, reset, env")
    return parser


def _profile_actions(parser: argparse.ArgumentParser) -> None:
    from .commands import profile

    profile.register(parser, FORMATS)


def _list_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", dest="output", choices=FORMATS, help="format (table on a terminal, else tsv)")
    command.add_argument("--filter", metavar="TEXT", default="", help="words, column:value,value, !inverse, /regex/, size>1GB, age<3h")
    command.add_argument("--sort", metavar="COLUMNS", default="", help="such as state,-size (a minus: descending)")
    command.add_argument("--limit", metavar="N", type=_count, help="at most N rows")
    command.add_argument("--timeout", metavar="S", type=float, default=120.0, help="give up after S seconds (120)")
    # Accepted after the command too, as people write it; SUPPRESS keeps what came before the command.
    command.add_argument("--profile", "-p", metavar="P", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    command.add_argument("--read-only", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _settings() -> Settings:
    """Settings, with the environment's credentials moved into the profile `env` before any library can read them."""
    from .adapters import environment

    _keep_memory_private()
    profile = environment.take()
    from . import config

    config.hand_over(profile)
    return config.load()


def _keep_memory_private() -> None:
    """No core files, no debugger of the same user: from here on there are secrets in memory (prctl(2), setrlimit(2))."""
    import ctypes
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _console(options: argparse.Namespace) -> int:
    settings = _settings()
    if options.once or not sys.stdin.isatty() or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        from . import headless

        return headless.once(settings, settings.profile(options.profile))
    # Nothing that is loaded from here on is garbage; looking for some would take a tenth of the start. The screen takes over.
    gc.disable()
    name = settings.profile(options.profile).name if settings.profiles or options.profile else None
    from .adapters import backend
    from .services import session

    session.wire(backend.connect, backend.lacking)
    from .ui.app import run

    return run(settings, name, options.read_only or settings.read_only, ssh=options.ssh)


def _list(options: argparse.Namespace) -> int:
    settings = _settings()
    profile = settings.profile(options.profile)
    from . import headless

    return headless.listing(
        settings,
        profile,
        options.view_id,
        expression=getattr(options, "expression", ""),
        output=options.output,
        filter_text=options.filter,
        sort_text=options.sort,
        limit=options.limit,
        timeout_s=options.timeout,
    )


def _doors(options: argparse.Namespace) -> int:
    settings = _settings()
    from .commands import doors

    return doors.run(settings, settings.profile(options.profile), options)


def _doctor(options: argparse.Namespace) -> int:
    from .commands import doctor

    return doctor.run(
        options.profile, every_profile=options.every_profile, output=options.output, everything=options.all_findings, load=_settings
    )


def _config_check(options: argparse.Namespace) -> int:
    settings = _settings()
    for fault in settings.key_faults:
        _say(UsageProblem(fault))
    if settings.key_faults:
        return UsageProblem.exit_code
    if settings.file is None:
        raise UsageProblem("there is no configuration file", step=f"write {_path()}, or run `make demo`")
    print(f"{settings.file}: ok, {len(settings.profiles)} profile{'' if len(settings.profiles) == 1 else 's'}")
    return 0


def _config_path(options: argparse.Namespace) -> int:
    print(_path())
    return 0


def _path() -> Path:
    from . import paths

    return paths.config_file()
