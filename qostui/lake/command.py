"""`qostui lake ...`: the lake's command line. stdout is data, stderr is talk."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import control, places, shell
from .control import LakeError, ServiceStatus
from .inside.state import State
from .install import DEFAULT_RUCIO, RUCIO_VERSIONS, InstallError, install

_OK, _FAILED, _USAGE = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """Run one lake command; the exit code is 0 ok, 1 failed, 2 usage, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    state = State(arguments.state or places.default_state())
    command: Callable[[argparse.Namespace, State], int] = arguments.run
    try:
        return command(arguments, state)
    except (LakeError, InstallError) as error:
        _say(f"qostui lake: {error}")
        return _FAILED
    except (KeyError, FileNotFoundError, PermissionError) as error:
        _say(f"qostui lake: {error}")
        return _USAGE
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qostui lake", description="A real, small Rucio data lake on this machine, on loopback only.")
    parser.add_argument("--state", type=Path, help="state directory (default: $QOSTUI_LAKE, else a place for this user)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, State], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    installing = add("install", _install, "install or update the lake; what is there and right is kept")
    installing.add_argument("--rucio", choices=RUCIO_VERSIONS, default=DEFAULT_RUCIO, help="40.4.2 is the last that transfers over GridFTP")
    installing.add_argument("--like", type=Path, metavar="STATE", help="take environment and seed image from another lake")
    installing.add_argument("--empty", action="store_true", help="people, RSEs and quotas, but no data and no rules")
    starting = add("up", _up, "start all services and wait until they answer")
    starting.add_argument("--new-ports", action="store_true", help="move to other ports first")
    add("down", _down, "stop all services and leave nothing behind")
    showing = add("status", _status, "list the services; exit 0 only when all run")
    showing.add_argument("-o", "--output", choices=("table", "json"), default="table")
    add("reset", _reset, "put the lake back to its seed image")
    add("env", _env, 'print a shell environment for the real clients: eval "$(qostui lake env)"')
    profiles = add("profiles", _profiles, "write console profiles for the identities of the lake")
    profiles.add_argument("--file", type=Path, help="configuration file (default: qostui.toml in the lake's client directory)")
    return parser


def _install(arguments: argparse.Namespace, state: State) -> int:
    like = State(arguments.like) if arguments.like else None
    if not install(state, _say, rucio=arguments.rucio, like=like, empty=arguments.empty):
        _say(f"the lake in {state.root} is installed and up to date")
    return _OK


def _up(arguments: argparse.Namespace, state: State) -> int:
    started = control.up(state, _say, new_ports=arguments.new_ports)
    _say("the lake is up" if started else "the lake was up already")
    return _OK


def _down(_arguments: argparse.Namespace, state: State) -> int:
    _say("the lake is down" if control.down(state, _say) else "the lake was not running")
    return _OK


def _reset(_arguments: argparse.Namespace, state: State) -> int:
    control.reset(state, _say)
    _say("the lake is as it was seeded")
    return _OK


def _env(_arguments: argparse.Namespace, state: State) -> int:
    sys.stdout.write(shell.script(state))
    return _OK


def _profiles(arguments: argparse.Namespace, state: State) -> int:
    from . import profiles

    print(profiles.write(state, arguments.file))
    return _OK


def _status(arguments: argparse.Namespace, state: State) -> int:
    services = control.status(state)
    if arguments.output == "json":
        json.dump([_record(each) for each in services], sys.stdout, indent=1)
        print()
    else:
        for each in services:
            print(f"{each.name:28} {each.state:14} {each.pid or '-':>8} {each.rss / 1e6:7.1f} MB  {each.address}")
            for line in each.log_tail if each.state not in ("running", "stopped") else ():
                print(f"    {line}")
    return _OK if services and all(each.state == "running" for each in services) else _FAILED


def _record(each: ServiceStatus) -> dict[str, object]:
    record: dict[str, object] = {
        "name": each.name,
        "state": each.state,
        "pid": each.pid,
        "address": each.address,
        "rss": each.rss,
        "pss": each.pss,
    }
    if each.state != "running":
        record.update(exit_code=each.exit_code, log_tail=list(each.log_tail))
    return record


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
