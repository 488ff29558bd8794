"""A small CA for tests: certificates, keys with and without a pass phrase, proxies with and without VOMS attributes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

VOMS_EXTENSION = ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")
PROXY_CERT_INFO = ObjectIdentifier("1.3.6.1.5.5.7.1.14")
INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
DAY = timedelta(days=1)


def name(*common: str) -> x509.Name:
    """/DC=test/CN=...: one CN for each text."""
    return x509.Name(
        [x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "test"), *(x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common)]
    )


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, pass_phrase: str = "", *, old: bool = False) -> bytes:
        """The key as a file holds it; `old` is the form of `openssl genrsa -aes256`."""
        form = serialization.PrivateFormat.TraditionalOpenSSL if old else serialization.PrivateFormat.PKCS8
        how = serialization.BestAvailableEncryption(pass_phrase.encode()) if pass_phrase else serialization.NoEncryption()
        found: bytes = self.key.private_bytes(serialization.Encoding.PEM, form, how)
        return found


def issued(
    subject: x509.Name,
    by: Pair | None = None,
    *,
    begins: timedelta = -DAY,
    ends: timedelta = 30 * DAY,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    key: Any = None,
) -> Pair:
    """A certificate of that subject, signed by `by` or by itself; times count from now."""
    own = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Pair(builder.sign(by.key if by else own, hashes.SHA256()), own)


def authority() -> Pair:
    """A CA."""
    return issued(name("CA"), extensions=((x509.BasicConstraints(True, None), True),), key=ec.generate_private_key(ec.SECP256R1()))


def server(ca: Pair) -> Pair:
    """The certificate of a server on 127.0.0.1."""
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return issued(name("server"), ca, extensions=((address, False),), key=ec.generate_private_key(ec.SECP256R1()))


def proxy(holder: Pair, *, ends: timedelta = timedelta(hours=12), begins: timedelta = timedelta(minutes=-5), voms: bytes = b"") -> bytes:
    """A proxy file; `voms` is the content of the extension with the attribute certificates."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.UnrecognizedExtension(PROXY_CERT_INFO, INHERIT_ALL), True)]
    if voms:
        extensions.append((x509.UnrecognizedExtension(VOMS_EXTENSION, voms), False))
    common = [str(part.value) for part in holder.certificate.subject if part.oid == NameOID.COMMON_NAME]
    made = issued(name(*common, "4711"), holder, begins=begins, ends=ends, extensions=tuple(extensions))
    return made.pem + made.key_pem(old=True) + holder.pem


def der(tag: int, *parts: bytes) -> bytes:
    """One element of DER."""
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 0xFF])
    return bytes([tag]) + length + content


def voms_extension(vo: str, fqans: tuple[str, ...], ends: datetime) -> bytes:
    """What a VOMS server puts into a proxy, with a signature that nobody checks here."""
    oid = bytes.fromhex("060a2b06010401be45646404")
    policy = der(0xA0, der(0x86, f"{vo}://localhost:15000".encode()))
    attribute = der(0x30, oid, der(0x31, der(0x30, policy, der(0x30, *(der(0x04, each.encode()) for each in fqans)))))
    begins = ends - timedelta(hours=12)
    validity = der(0x30, *(der(0x18, f"{each:%Y%m%d%H%M%SZ}".encode()) for each in (begins, ends)))
    info = der(0x30, der(0x02, b"\x01"), der(0x30), der(0xA0, der(0x30)), der(0x02, b"\x07"), validity, der(0x30, attribute))
    return der(0x30, der(0x30, der(0x30, info, der(0x30, der(0x06, b"\x2a\x03")), der(0x03, b"\x00" * 20))))


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """The file, written."""
    path.write_bytes(content)
    path.chmod(mode)
    return path
