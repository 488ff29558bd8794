"""Servers that the contract cases run against: the misbehaving one made by hand, and the real lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qostui.adapters.backend import RucioBackend
from qostui.config import Settings
from qostui.domain.profile import Profile
from qostui.services.lanes import Lane

from . import fake_rucio


@dataclass
class Server:
    """A Rucio with rows in it, and the profile that reads them."""

    profile: Profile
    settings: Settings

    def backend(self, **changes: Any) -> RucioBackend:
        """A backend for the profile."""
        return RucioBackend(self.profile, self.settings, **changes)

    def read(self, view_id: str, **changes: Any) -> list[Any]:
        """One full listing; raises Problem."""
        backend = self.backend(**changes)
        try:
            return [row for batch in backend.source(view_id).full(Lane("test")) for row in batch]
        finally:
            backend.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", runtime_dir=tmp_path / "run")


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def fake() -> Iterator[fake_rucio.FakeRucio]:
    with fake_rucio.running() as server:
        server.rows = {
            "rses": [fake_rucio.rse_json("A"), fake_rucio.rse_json("B", availability_write=False)],
            "rules": [
                fake_rucio.rule_json("1" * 32, "STUCK", error="RequestErrMsg.TRANSFER_FAILED:no space", locks_stuck_cnt=2),
                fake_rucio.rule_json("2" * 32),
                fake_rucio.rule_json("3" * 32, "OK", locks_ok_cnt=3, locks_replicating_cnt=0),
            ],
            "metrics": [{"src_rse": "A", "dst_rse": "B", "distance": 1, "files": {"queued-total": 2}, "bytes": {"queued-total": 5}}],
            "requests": [fake_rucio.request_json("9" * 32)],
        }
        yield server


@pytest.fixture
def fake_server(fake: fake_rucio.FakeRucio, settings: Settings, password_file: Path) -> Server:
    return Server(Profile("fake", fake.address, "ops", "userpass", password_file=password_file), settings)


@pytest.fixture(params=["fake", pytest.param("lake", marks=pytest.mark.lake)])
def rucio_server(request: pytest.FixtureRequest, settings: Settings) -> Server:
    """Each contract case runs against both."""
    if request.param == "fake":
        server: Server = request.getfixturevalue("fake_server")
        return server
    lake = request.getfixturevalue("lake")
    address = f"https://localhost:{lake.facts.ports['rucio']}"
    profile = Profile("lake", address, "ops", "userpass", password_file=lake.state.password_file("ops"), ca=lake.state.ca)
    return Server(profile, settings)


@pytest.fixture
def other_origin() -> Iterator[fake_rucio.FakeRucio]:
    """A second server, which must never hear a credential."""
    with fake_rucio.running() as server:
        yield server


@pytest.fixture
def tls_files(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make() -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody knows this CA")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        certificate_file, key_file = tmp_path / "server.pem", tmp_path / "server.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )
        return certificate_file, key_file

    return make
