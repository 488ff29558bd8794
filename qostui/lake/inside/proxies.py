"""Proxies of the lake's people: RFC 3820, with a VOMS attribute certificate where the person has attributes.

The AC is signed by voms-proxy-fake with the lake's own VOMS host certificate: no VOMS server runs, and yet every
VOMS-aware tool verifies the attributes against `vomsdir`.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from . import atomic, authority, register, topology
from .processes import faked_clock
from .state import Facts, State

PROXY_HOURS = 12
VOMS_ADDRESS = f"{topology.HOST}:15000"
"""What the AC names as its issuing server; nothing listens there."""
VOMS_PROXY_FAKE = "/usr/bin/voms-proxy-fake"
_PROXY_CERT_INFO = ObjectIdentifier("1.3.6.1.5.5.7.1.14")
_INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
"""ProxyCertInfo (RFC 3820) with the policy language id-ppl-inheritAll and no path limit, in DER."""


class ProxyError(RuntimeError):
    """A proxy could not be made; the message says why and what to do."""


def rfc_proxy(holder: authority.Credential, starts: datetime, ends: datetime) -> bytes:
    """A proxy file without attributes: proxy certificate, its key, the holder's certificate (PEM).

    The times are cut to the holder's own.
    """
    key = authority.new_key()
    serial = secrets.randbits(31) | 1
    subject = x509.Name([*holder.certificate.subject, x509.NameAttribute(NameOID.COMMON_NAME, str(serial))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(holder.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(max(starts, holder.certificate.not_valid_before_utc))
        .not_valid_after(min(ends, holder.certificate.not_valid_after_utc))
        .add_extension(_proxy_usage(), critical=True)
        .add_extension(x509.UnrecognizedExtension(_PROXY_CERT_INFO, _INHERIT_ALL), critical=True)
        .sign(holder.key, hashes.SHA256())
    )
    return authority.certificate_pem(certificate) + authority.key_pem(key) + authority.certificate_pem(holder.certificate)


def renew(state: State, facts: Facts, now: datetime) -> None:
    """Fresh proxies (12 h) for everyone with a certificate; raises ProxyError."""
    directory = atomic.directory(state.pki / "proxies", 0o700)
    for person in topology.PEOPLE:
        if not person.certificate:
            continue
        content = _with_attributes(state, person, directory, now) if person.fqans else _plain(state, person, now)
        register.note(state, *register.key_lines(content))
        atomic.write(state.proxy(person.name), content, 0o600)


def _plain(state: State, person: topology.Person, now: datetime) -> bytes:
    holder = authority.load(state.user_cert(person.name), state.user_key(person.name))
    if holder is None:
        raise ProxyError(f"The certificate of {person.name} is missing or does not fit its key; make the certificates first.")
    return rfc_proxy(holder, now - authority.BACKDATE, now + timedelta(hours=PROXY_HOURS))


def _with_attributes(state: State, person: topology.Person, directory: Path, now: datetime) -> bytes:
    """What voms-proxy-fake makes; it reads the clock itself, so a `now` in the past is passed to it as an offset."""
    with tempfile.TemporaryDirectory(prefix=".voms-", dir=directory) as scratch:
        output = Path(scratch) / "proxy.pem"
        command = [
            VOMS_PROXY_FAKE, "-rfc", "-newformat", "-quiet", "-bits", "2048", "-hours", str(PROXY_HOURS), "-vomslife", str(PROXY_HOURS),
            "-cert", str(state.user_cert(person.name)), "-key", str(state.user_key(person.name)), "-certdir", str(state.certificates),
            "-hostcert", str(voms_cert(state)), "-hostkey", str(voms_key(state)),
            "-voms", topology.VO, "-uri", VOMS_ADDRESS, "-out", str(output),
        ]  # fmt: skip
        for fqan in person.fqans:
            command += ["-fqan", fqan]
        behind = datetime.now(UTC) - now
        if behind > timedelta(minutes=1):
            past = f"{behind // timedelta(hours=1)}:{behind % timedelta(hours=1) // timedelta(minutes=1):02d}"
            command += ["-pastac", past, "-pastproxy", past]
        environment = {"HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "X509_CERT_DIR": str(state.certificates), **faked_clock()}
        try:
            done = subprocess.run(
                command, env=environment, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
            )
        except FileNotFoundError:
            raise ProxyError(f"{VOMS_PROXY_FAKE} is missing; install the package voms-clients.") from None
        if done.returncode != 0 or not output.exists():
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise ProxyError(f"voms-proxy-fake failed for {person.name} (exit {done.returncode}): {last}")
        return output.read_bytes()


def voms_cert(state: State) -> Path:
    """Certificate of the VOMS server that signs attributes."""
    return state.pki / "voms.pem"


def voms_key(state: State) -> Path:
    return state.pki / "voms.key"


def _proxy_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
