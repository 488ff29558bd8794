"""One plain HTTP session that asks what the RSE pane asks for its first rows: prints milliseconds.

`python -m bench.apps.http_session ADDRESS CA`, the token on standard input.
"""

from __future__ import annotations

import json
import sys
import time

import requests

from qostui.adapters.rucio_rses import BATCH


def main(address: str, ca: str, token: str) -> int:
    """The listing, then three calls for each RSE of the first batch, over one connection."""
    began = time.perf_counter()
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Rucio-Auth-Token"] = token
        session.verify = ca

        def ask(path: str) -> bytes:
            answer = session.get(address + path, timeout=30)
            answer.raise_for_status()
            return answer.content

        names = sorted(json.loads(line)["rse"] for line in ask("/rses/").splitlines())
        for name in names[:BATCH]:
            for path in (f"/rses/{name}/attr/", f"/rses/{name}", f"/rses/{name}/usage"):
                ask(path)
    print(f"{1e3 * (time.perf_counter() - began):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.stdin.read().strip()))
