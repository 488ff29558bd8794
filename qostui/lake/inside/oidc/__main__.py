"""`python -m inside.oidc --state DIR`: serve the provider on the inherited socket until SIGTERM."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from .. import web
from ..state import State
from .app import create_app
from .provision import prepare

THREADS = 4


def main() -> None:
    """Read the lake's facts, make what is missing, serve."""
    arguments = argparse.ArgumentParser(prog="oidc", description="The lake's OpenID provider.")
    arguments.add_argument("--state", type=Path, required=True, help="state directory of the lake")
    state = State(arguments.parse_args().state)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    facts = state.read()
    prepare(state, facts)
    web.serve(create_app(state, facts), state, threads=THREADS)


if __name__ == "__main__":
    main()
