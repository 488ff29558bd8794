"""What the flows of the FTS stand-in stand on: a state with certificates, the service over TLS, clients with proxies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from inside import pki, topology
from inside.state import Facts, State

OPEN_STATES = {"SUBMITTED", "READY", "ACTIVE", "STAGING", "ARCHIVING"}
INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
"""proxyCertInfo with id-ppl-inheritAll (RFC 3820)."""


class Ground:
    """A state directory of its own and the service on it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="fts-"))
        self.state = State(self.root)
        for each in (self.state.live, self.state.etc, self.state.run, self.state.log, self.state.fts, self.state.oidc):
            each.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.facts = Facts("f1", "41.5.1", "nobody", dict.fromkeys(topology.port_names(), 1) | {"fts": self.socket.getsockname()[1]})
        self.state.write(self.facts)
        pki.create(self.state, self.facts, datetime.now(UTC))
        self.url = f"https://localhost:{self.facts.ports['fts']}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service as the supervisor does: with its socket on descriptor 3."""
        home = self.state.home("fts")
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        number = self.socket.fileno()
        command = [sys.executable, "-P", "-m", "inside.fts", "--state", str(self.root), "--allow-local"]
        with self.state.log_file("fts").open("ab") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f'exec "$@" 3<&{number}', "sh", *command],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                start_new_session=True,
                env={
                    **{name: os.environ[name] for name in ("PATH", "PYTHONPATH")},
                    "TMPDIR": str(home / "tmp"),
                    "HOME": str(home),
                    "LANG": "C.UTF-8",
                },
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if requests.get(self.url, verify=str(self.state.ca), timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(self.log())

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the service; SIGKILL ends all of it at once, as a crash of the machine would."""
        if self.process is None:
            return
        if how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        self.process.wait(20)
        self.process = None

    def close(self) -> None:
        self.stop()
        self.socket.close()
        shutil.rmtree(self.root)

    def log(self) -> str:
        return self.state.log_file("fts").read_text()

    def client(self, person: str | None, *, headers: dict[str, str] | None = None) -> Client:
        return Client(self, person, headers or {})


class Client:
    """Someone who speaks to the service."""

    def __init__(self, ground: Ground, person: str | None, headers: dict[str, str]) -> None:
        self._ground = ground
        self.person = person
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(ground.state.ca)
        self.http.headers.update(headers)
        if person:
            self.http.cert = (str(ground.state.user_cert(person)), str(ground.state.user_key(person)))

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> requests.Response:
        data = json.dumps(body) if body is not None else None
        return self.http.request(method, self._ground.url + path, data=data, timeout=30, **more)

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()

    def submit(self, source: str | list[str], destination: str, params: dict[str, Any] | None = None, **file: Any) -> str:
        entry = {"sources": source if isinstance(source, list) else [source], "destinations": [destination], **file}
        return self.submit_all([entry], params)

    def submit_all(self, files: list[dict[str, Any]], params: dict[str, Any] | None = None) -> str:
        answer = self.ask("POST", "/jobs", {"files": files, "params": {"overwrite": True, **(params or {})}})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def wait(self, job_id: str, *, until: set[str] | None = None, seconds: float = 30) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The job and its files once the job's state is in `until` (default: a final one)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.get(f"/jobs/{job_id}")
            if (job["job_state"] in until) if until else job["job_state"] not in OPEN_STATES:
                return job, self.get(f"/jobs/{job_id}/files")
            time.sleep(0.1)
        raise AssertionError(f"{job} {self.get(f'/jobs/{job_id}/files')}\n{self._ground.log()}")

    def sign(self, request: bytes, *, hours: float = 2, as_person: str | None = None) -> bytes:
        """What `fts-rest-delegate` sends back for a request: a proxy of the person and the certificate below it."""
        person = as_person or self.person
        assert person
        own = x509.load_pem_x509_certificate(self._ground.state.user_cert(person).read_bytes())
        key = serialization.load_pem_private_key(self._ground.state.user_key(person).read_bytes(), None)
        now = datetime.now(UTC)
        number = x509.random_serial_number() >> 100
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([*own.subject, x509.NameAttribute(NameOID.COMMON_NAME, str(number))]))
            .issuer_name(own.subject)
            .public_key(x509.load_pem_x509_csr(request).public_key())
            .serial_number(number)
            .not_valid_before(now - timedelta(hours=12))
            .not_valid_after(now + timedelta(hours=hours))
            .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14"), INHERIT_ALL), critical=True)
            .sign(key, hashes.SHA256())  # type: ignore[arg-type]  # the keys of the lake are RSA
        )
        return made.public_bytes(serialization.Encoding.PEM) + own.public_bytes(serialization.Encoding.PEM)
