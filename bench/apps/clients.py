"""rucio-clients reading all rules: `python -m bench.apps.clients ADDRESS CA PASSWORD_FILE COUNT` prints seconds.

Counted from the first call on, after import and log-in; ends with 1 when fewer than COUNT rules came.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from qostui.domain import states


def main(address: str, ca: str, password_file: str, count: int) -> int:
    """Read the rules of each state, as the console does."""
    os.environ["RUCIO_CLIENT_MODE"] = "1"
    configuration = Path(os.environ["HOME"]) / "rucio.cfg"
    configuration.write_text("[client]\n")
    os.environ["RUCIO_CONFIG"] = str(configuration)
    from rucio.client import Client

    client = Client(
        rucio_host=address,
        auth_host=address,
        account="ops",
        ca_cert=ca,
        auth_type="userpass",
        creds={"username": "ops", "password": Path(password_file).read_text().strip()},
    )
    began = time.perf_counter()
    seen = sum(1 for kind in states.RULE.values() for _ in client.list_replication_rules(filters={"state": kind.letter}))
    print(f"{time.perf_counter() - began:.3f}")
    return 0 if seen >= count else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
