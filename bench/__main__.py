"""`python -m bench [NAME...]`: measure, print a table, keep the result, exit 1 when a budget is broken."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from qostui.lake.control import LakeError
from qostui.lake.install import InstallError

from . import report
from .figures import Verdict, judge
from .measure import MEASURES
from .run import Run
from .terminal import Timeout

RESULTS = Path(__file__).with_name("results.json")
_REPEAT = 5
_EXPECTED = (Timeout, ValueError, OSError, subprocess.SubprocessError, LakeError, InstallError)
"""What a measurement can fail with where the console, not the benchmark, is at fault: the others go on."""


def main(argv: list[str] | None = None) -> int:
    """Run the named measurements, all without a name; the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for name, measure in MEASURES.items():
            print(f"{name:12} {(measure.__doc__ or '').splitlines()[0]}")
        return 0
    unknown = [name for name in arguments.names if name not in MEASURES]
    if unknown:
        print(f"no measurement is called {', '.join(unknown)}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    # A terminated run ends as an interrupted one does: what it started is stopped, its files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted = [name for name in MEASURES if name in arguments.names or not arguments.names]
    verdicts, failed = _measured(wanted, arguments.repeat)
    load = os.getloadavg()
    print("\n".join(report.table(verdicts, load)))
    for name, reason in failed.items():
        print(f"{name}: not measured: {reason}")
    # A part or a quick look must not replace the figures of a whole run.
    if arguments.output is not None or (not arguments.names and not failed and arguments.repeat >= _REPEAT):
        report.keep(verdicts, arguments.output or RESULTS, arguments.repeat, load)
    return 1 if failed or not all(verdict.kept for verdict in verdicts) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the console and judge it by its budgets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="measurements, all by default (--list names them)")
    parser.add_argument("--repeat", type=int, default=_REPEAT, help=f"repetitions, whose median counts (default {_REPEAT})")
    parser.add_argument("--output", type=Path, help=f"where the result goes (default: a whole run goes to bench/{RESULTS.name})")
    parser.add_argument("--list", action="store_true", help="name the measurements")
    return parser


def _measured(wanted: list[str], repeat: int) -> tuple[list[Verdict], dict[str, str]]:
    verdicts: list[Verdict] = []
    failed: dict[str, str] = {}
    with Run(repeat, lambda text: print(f"  {text}", file=sys.stderr, flush=True)) as run:
        for name in wanted:
            print(name, file=sys.stderr, flush=True)
            try:
                for figure in MEASURES[name](run):
                    verdict = judge(figure)
                    verdicts.append(verdict)
                    print(f"  {report.line(verdict)}", file=sys.stderr, flush=True)
            except _EXPECTED as error:
                traceback.print_exc()
                failed[name] = f"{type(error).__name__}: {error}"
    return verdicts, failed


if __name__ == "__main__":
    sys.exit(main())
