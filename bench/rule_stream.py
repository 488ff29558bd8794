"""A Rucio that only lists rules, as fast as asked: TLS on loopback in a process of its own, rows like 41.5.1's, no database.

Each row is one chunk and one TLS record, since that is what gunicorn makes of Rucio's generator. `/rules/` gives the rows
of one state, `/rules/?updated_after` none. Log-in is by pass word; any is good.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SHARES = {"S": 0.05, "U": 0.005, "W": 0.005, "I": 0.002, "R": 0.138, "O": 0.8}
"""State letter -> share of the rules."""
WORDS = {"S": "STUCK", "U": "SUSPENDED", "W": "WAITING_APPROVAL", "I": "INJECT", "R": "REPLICATING", "O": "OK"}
_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_HEAD = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: {date}\r\nContent-Type: {kind}\r\n{more}\r\n"


def date(at: datetime) -> str:
    """A time as Rucio writes it."""
    return at.strftime("%a, %d %b %Y %H:%M:%S UTC")


def rule_line(random_: random.Random, letter: str, number: int) -> bytes:
    """One rule, about 860 bytes, with the repetition that a real instance has."""
    created = _NOW - timedelta(seconds=random_.randrange(90 * 86400))
    updated = created + timedelta(seconds=random_.randrange(86400))
    stuck = letter == "S"
    files = random_.randrange(1, 400)
    bad = random_.randrange(1, files + 1) if stuck else 0
    moving = random_.randrange(1, files + 1) if letter == "R" else 0
    scope = random_.choice(("fair", "cbm", "panda", "ska", "lofar", "cta", "magic", "atlas", "km3net", "virgo"))
    document = {
        "created_at": date(created), "updated_at": date(updated), "id": f"{random_.getrandbits(128):032x}", "subscription_id": None,
        "account": f"{scope}{random_.randrange(6)}", "scope": scope, "name": f"{scope}.raw.2026.run{number:06d}.dataset",
        "did_type": "DATASET", "state": WORDS[letter],
        "error": f"RequestErrMsg.TRANSFER_FAILED:TRANSFER [{random_.choice((2, 13, 28, 70, 110))}] Could not write to the destination"
        f" at door {random_.randrange(12)}" if stuck else None,
        "rse_expression": random_.choice(("QOS=SAFE", "QOS=FAST", "QOS=CHEAP-ANALYSIS", "DESY-DCACHE|GSI-ROOT", "QOS=OPPORTUNISTIC")),
        "copies": random_.randrange(1, 4), "expires_at": date(created + timedelta(days=120)) if number % 3 == 0 else None, "weight": None,
        "locked": False, "locks_ok_cnt": max(0, files - bad - moving), "locks_replicating_cnt": moving, "locks_stuck_cnt": bad,
        "source_replica_expression": None, "activity": random_.choice(("User Subscriptions", "Data Ingest", "Staging", "Production")),
        "grouping": "DATASET", "notification": "NO", "stuck_at": date(updated) if stuck else None, "purge_replicas": False,
        "ignore_availability": False, "ignore_account_limit": False, "priority": 3,
        "comments": "asked for by the data manager on duty" if number % 10 == 0 else None, "child_rule_id": None, "eol_at": None,
        "split_container": False, "meta": None, "bytes": random_.randrange(10**6, 10**13),
    }  # fmt: skip
    return json.dumps(document).encode() + b"\n"


def rules(count: int) -> dict[str, list[bytes]]:
    """The lines of each state; always the same."""
    random_ = random.Random(41)  # noqa: S311 -- rows, not secrets
    return {letter: [rule_line(random_, letter, number) for number in range(round(count * share))] for letter, share in SHARES.items()}


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "server.pem", directory / "server.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate_file, key_file


class Server:
    """Answers one request after the other on each connection."""

    def __init__(self, lines: dict[str, list[bytes]], rate: float, hang_after: int) -> None:
        self._chunks = {letter: [b"%x\r\n%s\r\n" % (len(line), line) for line in each] for letter, each in lines.items()}
        self._rate = rate
        self._hang_after = hang_after

    def serve(self, connection: ssl.SSLSocket) -> None:
        """All requests of a connection, until the client hangs up."""
        try:
            with connection:
                connection.do_handshake()
                reader = connection.makefile("rb")
                while request := reader.readline():
                    while reader.readline().strip():
                        pass
                    self._answer(connection, request.split()[1].decode())
        except OSError:
            return  # clients that hang up are part of the measurement

    def _answer(self, connection: ssl.SSLSocket, target: str) -> None:
        parts = urlsplit(target)
        at = date(datetime.now(UTC)).replace("UTC", "GMT")
        if parts.path.startswith("/auth"):
            expires = date(datetime.now(UTC) + timedelta(hours=1))
            more = f"Content-Length: 0\r\nX-Rucio-Auth-Token: bench\r\nX-Rucio-Auth-Token-Expires: {expires}\r\n"
            connection.sendall(_HEAD.format(date=at, kind="application/octet-stream", more=more).encode())
            return
        head = _HEAD.format(date=at, kind="application/x-json-stream", more="Transfer-Encoding: chunked\r\n").encode()
        query = parse_qs(parts.query)
        chunks = self._chunks.get(query["state"][0], []) if "state" in query else []
        connection.sendall(head)
        began = time.perf_counter()
        for count, chunk in enumerate(chunks):
            if 0 <= self._hang_after <= count:
                time.sleep(3600)
            if self._rate and count % 50 == 0:
                time.sleep(max(0.0, began + count / self._rate - time.perf_counter()))
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")


def main() -> None:
    """Serve until the standard input is closed; says port and CA in one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=0.0, help="rows a second; 0: as fast as it goes")
    parser.add_argument("--hang-after", type=int, default=-1, help="silence after so many rows of a listing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        ca, key = certificate(Path(directory))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca, key)
        server = Server(rules(options.rows), options.rate, options.hang_after)
        listener = socket.create_server(("127.0.0.1", 0))

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                threading.Thread(target=server.serve, args=(wrapped,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        print(json.dumps({"port": listener.getsockname()[1], "ca": str(ca)}), flush=True)
        sys.stdin.read()


@contextmanager
def running(rows: int = 100_000, rate: float = 0.0, hang_after: int = -1) -> Iterator[tuple[str, Path]]:
    """The server in a process of its own: its address and its CA."""
    command = [sys.executable, "-m", "bench.rule_stream", "--rows", str(rows), "--rate", str(rate), "--hang-after", str(hang_after)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            said = json.loads(process.stdout.readline())
            yield f"https://127.0.0.1:{said['port']}", Path(said["ca"])
        finally:
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    main()
