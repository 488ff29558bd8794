"""RFC 3820 proxies from a certificate and its key, which may need a pass phrase."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

from cryptography import x509 as library
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ..domain.errors import CredentialProblem, UsageProblem
from ..domain.profile import Secret
from . import secret_files, x509
from .own_files import is_encrypted

BITS = 2048
BACKDATE = timedelta(minutes=5)
"""Servers whose clock is a little behind ours take the proxy at once."""
MOST_HOURS = 24 * 366.0
_INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
"""ProxyCertInfo (RFC 3820 section 3.8) with the policy language id-ppl-inheritAll and no limit of path length, in DER."""


@dataclass(frozen=True)
class Holder:
    """Certificates, the holder's first, and the key of the first one; never printed."""

    chain: tuple[library.Certificate, ...]
    key: Any

    @property
    def ends(self) -> datetime:
        """The earliest end in the chain."""
        return min(each.not_valid_after_utc for each in self.chain)

    def __repr__(self) -> str:
        return f"Holder({x509.slash(self.chain[0].subject)})"


def holder(certificate: bytes, key: bytes, pass_phrase: Secret | None, what: str, now: datetime) -> Holder:
    """Certificate and key, looked at: they belong together and have not ended. Raises CredentialProblem."""
    found = Holder(certificates(certificate, what), _private_key(key, pass_phrase, what))
    if not _belong_together(found.chain[0], found.key):
        raise CredentialProblem(f"{what}: certificate and key do not belong together", step="check certificate and key of the profile")
    if found.ends <= now:
        raise CredentialProblem(
            f"{what} ended on {found.ends:%Y-%m-%d %H:%M} UTC", step="get a new certificate from its CA: no proxy outlives it"
        )
    if found.chain[0].not_valid_before_utc > now:
        raise CredentialProblem(
            f"{what} begins on {found.chain[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC", step="is the clock of this machine right?"
        )
    return found


def certificates(content: bytes, what: str) -> tuple[library.Certificate, ...]:
    """The certificates of a PEM text, one at least; raises CredentialProblem."""
    x509.parse(content, what)
    return tuple(library.load_pem_x509_certificates(content))


def proxy(certificate: Path, key: Path, pass_phrase: Secret | None, hours: float, now: datetime | None = None) -> bytes:
    """A proxy file (PEM): proxy certificate, its key, the holder's certificates; it ends with the certificate at the latest.

    Raises CredentialProblem, and UsageProblem for a life that makes no sense.
    """
    if not isfinite(hours) or not 0 < hours <= MOST_HOURS:
        raise UsageProblem("a proxy lives more than 0 hours and at most a year", step="12 is usual")
    moment = now or datetime.now(UTC)
    what = f"the certificate {certificate}"
    try:
        text = certificate.read_bytes()[: secret_files.MAX_BYTES]
    except OSError as error:
        raise CredentialProblem(f"{what}: {error.strerror}", step="mend the path in the profile") from error
    owner = holder(text, secret_files.read_secret(key, "the key"), pass_phrase, what, moment)
    own_key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    made = signed(owner, own_key.public_key(), moment + timedelta(hours=hours), moment)
    key_text = own_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem(made) + key_text + b"".join(pem(each) for each in owner.chain)


def signed(owner: Holder, public_key: Any, ends: datetime, now: datetime) -> library.Certificate:
    """A proxy certificate for `public_key` (RFC 3820 section 3): the owner's name and a number, all rights of the owner."""
    issuer = owner.chain[0]
    serial = secrets.randbits(31) | 1
    subject = library.Name([*issuer.subject, library.NameAttribute(NameOID.COMMON_NAME, str(serial))])
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False
    )
    algorithm = hashes.SHA256() if isinstance(owner.key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None
    return (
        library.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(max(now - BACKDATE, *(each.not_valid_before_utc for each in owner.chain)))
        .not_valid_after(min(ends, owner.ends))
        .add_extension(library.KeyUsage(digital_signature=True, key_encipherment=True, **usage), critical=True)
        .add_extension(library.UnrecognizedExtension(ObjectIdentifier(x509.PROXY_CERT_INFO), _INHERIT_ALL), critical=True)
        .sign(owner.key, algorithm)
    )


def pem(certificate: library.Certificate) -> bytes:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_key(content: bytes, pass_phrase: Secret | None, what: str) -> Any:
    encrypted = is_encrypted(content)
    given = pass_phrase.reveal() if pass_phrase is not None else ""
    if encrypted and not given:
        raise CredentialProblem(f"the key of {what} needs a pass phrase", step="type it: it is not kept")
    try:
        # A pass phrase for a key without one is no reason to fail: the operator only answered what he was asked.
        return serialization.load_pem_private_key(content, given.encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Nothing of it goes on: OpenSSL's words about a key help nobody.
        pass
    if encrypted:
        raise CredentialProblem("the pass phrase does not open the key", step="try again: nothing was changed")
    raise CredentialProblem(f"the key of {what} cannot be read", step="is it PEM? convert it: openssl pkcs12 -in FILE.p12 -nocerts")


def _belong_together(certificate: library.Certificate, key: Any) -> bool:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        return bool(certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form))
    except (ValueError, UnsupportedAlgorithm):
        return False
