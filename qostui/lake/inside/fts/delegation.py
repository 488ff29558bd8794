"""Delegation as FTS does it: a key and a request made here, signed by the user's credential, kept as a full proxy.

The private key never leaves this machine. Works with RFC 3820 proxies (RFC 5280 chains below the user's certificate).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from .credentials import Credentials, write_secret
from .identity import Identity

_SHORT = {
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
}
_PROXY_NAME = re.compile(r"(/CN=(\d+|proxy|limited proxy))+$")


class BadProxy(ValueError):
    """A signed credential that does not fit; the text is for the user."""


class Delegation:
    """Requests that wait for their signature, and the proxies that came of them."""

    def __init__(self, credentials: Credentials, ca: Path) -> None:
        self._credentials = credentials
        self._ca = ca

    def termination(self, who: Identity) -> datetime | None:
        """When the delegated proxy of a user ends (UTC); None without one."""
        try:
            text = self._credentials.delegated(who.delegation_id).read_bytes()
        except FileNotFoundError:
            return None
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(text))

    def request(self, who: Identity) -> bytes:
        """A certificate request (PEM) for the user to sign: the waiting one, or a new one."""
        request_file, key_file = self._files(who)
        if request_file.is_file() and key_file.is_file():
            return request_file.read_bytes()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Dummy")])
        made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        self._credentials.note_key(pem)
        write_secret(key_file, pem)
        write_secret(request_file, made.public_bytes(serialization.Encoding.PEM))
        return request_file.read_bytes()

    def accept(self, who: Identity, signed: bytes) -> None:
        """Keep the chain a user signed for the waiting request; raises BadProxy."""
        request_file, key_file = self._files(who)
        if not key_file.is_file():
            raise BadProxy("No credential cache found")
        key_text = key_file.read_bytes()
        try:
            chain = x509.load_pem_x509_certificates(signed)
        except ValueError as error:
            raise BadProxy("Could not process the proxy: Malformed proxy") from error
        key = serialization.load_pem_private_key(key_text, None)
        self._check(who, chain, key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        first, *rest = (each.public_bytes(serialization.Encoding.PEM) for each in chain)
        write_secret(self._credentials.delegated(who.delegation_id), first + key_text + b"".join(rest))
        request_file.unlink(missing_ok=True)
        key_file.unlink(missing_ok=True)

    def forget(self, who: Identity) -> bool:
        """Remove a user's delegated proxy; False when there was none."""
        proxy = self._credentials.delegated(who.delegation_id)
        existed = proxy.is_file()
        proxy.unlink(missing_ok=True)
        return existed

    def _files(self, who: Identity) -> tuple[Path, Path]:
        place = self._credentials.requests
        return place / f"{who.delegation_id}.csr", place / f"{who.delegation_id}.key"

    def _check(self, who: Identity, chain: list[x509.Certificate], public_key: bytes) -> None:
        if len(chain) < 2:
            raise BadProxy("Could not process the proxy: Malformed proxy")
        proxy = chain[0]
        own = proxy.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if own != public_key:
            raise BadProxy("Could not process the proxy: The proxy does not match the stored associated private key")
        for child, parent in zip(chain, [*chain[1:], *x509.load_pem_x509_certificates(self._ca.read_bytes())[:1]], strict=False):
            try:
                child.verify_directly_issued_by(parent)
            except (ValueError, TypeError, InvalidSignature) as error:
                raise BadProxy(
                    "Could not process the proxy: Failed to verify the proxy, maybe signed with the wrong private key?"
                ) from error
        if not slash_form(proxy.subject).startswith(f"{slash_form(chain[1].subject)}/CN="):
            raise BadProxy("Could not process the proxy: The subject and the issuer of the proxy do not match")
        if _PROXY_NAME.sub("", slash_form(proxy.subject)) != who.dn:
            raise BadProxy("Could not process the proxy: it is not a proxy of the certificate that speaks")
        if proxy.not_valid_after_utc <= datetime.now(UTC):
            raise BadProxy("Could not process the proxy: it has expired")


def slash_form(name: x509.Name) -> str:
    """A subject as grid tools spell it: /DC=test/DC=qostui/CN=alice."""
    return "".join(f"/{_SHORT.get(each.oid, each.oid.dotted_string)}={each.value!s}" for each in name)
