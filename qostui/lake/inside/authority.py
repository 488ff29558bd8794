"""Certificates as a grid CA signs them: authorities, end entities, revocation lists.

Times are aware datetimes. Everything starts ten minutes before `now`, so that clocks may differ a little.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import atomic, topology

BACKDATE = timedelta(minutes=10)
AUTHORITY_LIFETIME = timedelta(days=3653)
CERTIFICATE_LIFETIME = timedelta(days=365)
REVOCATIONS_LIFETIME = timedelta(days=30)

_ATTRIBUTES = {"DC": NameOID.DOMAIN_COMPONENT, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


def new_key() -> rsa.RSAPrivateKey:
    """A fresh RSA key: the Globus and XRootD GSI libraries of Debian 12 take no other kind."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def name(distinguished_name: str) -> x509.Name:
    """The X.509 name for a slash-separated DN; domainComponent is an IA5String, as RFC 4519 asks."""
    pairs = (part.split("=", 1) for part in distinguished_name.strip("/").split("/"))
    return x509.Name([x509.NameAttribute(_ATTRIBUTES[kind], value) for kind, value in pairs])


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The unencrypted key in the PKCS#1 spelling, the one all grid tools read."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def new_authority(common_name: str, now: datetime) -> Credential:
    """A self-signed CA for ten years."""
    key = new_key()
    subject = name(topology.distinguished_name(common_name))
    certificate = (
        _builder(subject, subject, key, now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(sign=False, encipher=False, authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Credential(key, certificate)


def issue(
    authority: Credential, common_name: str, now: datetime, *, host: bool = False, lifetime: timedelta = CERTIFICATE_LIFETIME
) -> Credential:
    """A new end-entity certificate and key; `host` makes a server's, valid for localhost, 127.0.0.1 and ::1."""
    key = new_key()
    ends = min(now + lifetime, authority.certificate.not_valid_after_utc)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if host else [])
    builder = (
        _builder(name(topology.distinguished_name(common_name)), authority.certificate.subject, key, now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True, encipher=True, authority=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if host:
        addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(topology.HOST), *addresses]), critical=False)
    return Credential(key, builder.sign(authority.key, hashes.SHA256()))


def revocations(authority: Credential, revoked: Iterable[x509.Certificate], issued: datetime, ends: datetime) -> bytes:
    """A signed CRL (PEM) that is valid from ten minutes before `issued` until `ends`; an end in the past makes an expired one."""
    starts = min(issued, ends) - BACKDATE
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(starts)
        .next_update(ends)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(int(issued.timestamp())), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(starts).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def save(credential: Credential, certificate_file: Path, key_file: Path, *, key_mode: int = 0o400) -> None:
    """Put key and certificate in place, the key first; `load` notices when a crash parted them."""
    atomic.write(key_file, key_pem(credential.key), key_mode)
    atomic.write(certificate_file, certificate_pem(credential.certificate))


def load(certificate_file: Path, key_file: Path) -> Credential | None:
    """The credential of two files; None when one is missing or unreadable or when they do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        return None
    return Credential(key, certificate)


def _usage(*, sign: bool, encipher: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, now: datetime, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
    )
