"""Reading X.509 certificates, RFC 3820 proxies and the VOMS attribute certificate inside, for show: nothing is verified."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from ..domain.errors import CredentialProblem
from . import secret_files

PROXY_CERT_INFO = "1.3.6.1.5.5.7.1.14"
VOMS_AC_SEQUENCE = "1.3.6.1.4.1.8005.100.100.5"
_FQAN_OID = bytes.fromhex("06 0a 2b 06 01 04 01 be 45 64 64 04".replace(" ", ""))
"""1.3.6.1.4.1.8005.100.100.4, encoded."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.5": "serialNumber",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
    "1.2.840.113549.1.9.1": "emailAddress",
}


@dataclass(frozen=True, slots=True)
class AttributeCertificate:
    """What the VOMS extension says."""

    fqans: tuple[str, ...]
    not_before: datetime | None
    expires: datetime | None
    authority: str
    """`vo://host:port` of the VOMS server."""


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A certificate or proxy file."""

    subject: str
    """Of the end entity, in slash form, as Rucio and grid-mapfiles spell it."""
    issuer: str
    """Of the end entity."""
    serial: str
    not_before: datetime
    expires: datetime
    """The earliest end in the chain."""
    is_proxy: bool
    chain: tuple[str, ...]
    voms: tuple[AttributeCertificate, ...]
    voms_problem: str = ""


def slash(name: x509.Name) -> str:
    """`/DC=test/DC=org/CN=alice`, in the order of the certificate."""
    return "".join(f"/{_SHORT.get(part.oid.dotted_string, part.oid.dotted_string)}={part.value!s}" for part in name)


def read(path: Path, what: str, *, secret: bool) -> CertificateFile:
    """The certificates of a PEM file; `secret` for files with a key inside (proxies). Raises CredentialProblem."""
    if secret:
        content = secret_files.read_secret(path, what)
    else:
        try:
            content = path.read_bytes()[: secret_files.MAX_BYTES]
        except OSError as error:
            raise CredentialProblem(f"{what} {path}: {error.strerror}", step="make a new one, or mend the path in the profile") from error
    return parse(content, f"{what} {path}")


def parse(content: bytes, what: str) -> CertificateFile:
    """The same for content at hand, whatever it is."""
    try:
        return _parsed(content, what)
    except CredentialProblem:
        raise
    except Exception as error:
        # The library has an exception of its own for each part of a certificate that can be wrong, and some are met late.
        raise CredentialProblem(f"{what} cannot be read as certificates", step="is it PEM, and whole?") from error


def _parsed(content: bytes, what: str) -> CertificateFile:
    if content[:2] == b"\x30\x82":
        raise CredentialProblem(f"{what} is DER, or PKCS #12", step="convert it to PEM: openssl x509 -inform DER, or openssl pkcs12 -nodes")
    chain = [x509.load_pem_x509_certificate(block) for block in _PEM.findall(content)]
    if not chain:
        cut = b"-----BEGIN CERTIFICATE-----" in content
        raise CredentialProblem(f"{what} holds no {'whole ' if cut else ''}certificate", step="is it PEM, and whole?")
    entity = next((each for each in chain if not _is_proxy(each)), chain[-1])
    voms, problem = _voms(chain)
    return CertificateFile(
        subject=slash(entity.subject),
        issuer=slash(entity.issuer),
        serial=f"{chain[0].serial_number:x}",
        not_before=max(each.not_valid_before_utc for each in chain),
        expires=min(each.not_valid_after_utc for each in chain),
        is_proxy=_is_proxy(chain[0]),
        chain=tuple(slash(each.subject) for each in chain),
        voms=voms,
        voms_problem=problem,
    )


def _is_proxy(certificate: x509.Certificate) -> bool:
    if any(extension.oid.dotted_string == PROXY_CERT_INFO for extension in certificate.extensions):
        return True
    last = list(certificate.subject)[-1:]
    return bool(last) and str(last[0].value) in ("proxy", "limited proxy")


def _voms(chain: list[x509.Certificate]) -> tuple[tuple[AttributeCertificate, ...], str]:
    for certificate in chain:
        for extension in certificate.extensions:
            if extension.oid.dotted_string == VOMS_AC_SEQUENCE and isinstance(extension.value, x509.UnrecognizedExtension):
                try:
                    return attribute_certificates(extension.value.value), ""
                except (ValueError, IndexError):
                    return (), "the VOMS extension cannot be read"
    return (), ""


def attribute_certificates(der: bytes) -> tuple[AttributeCertificate, ...]:
    """The attribute certificates of a VOMS extension (SEQUENCE OF SEQUENCE OF AC); raises ValueError."""
    tag, content, _ = _element(der, 0)
    if tag != 0x30:
        raise ValueError("not a sequence")
    found = []
    for _, group in _elements(content):
        for ac_tag, ac in _elements(group):
            if ac_tag == 0x30:
                found.append(_attribute_certificate(ac))
    return tuple(found)


def _attribute_certificate(ac: bytes) -> AttributeCertificate:
    _, info, _ = _element(ac, 0)
    not_before = expires = None
    fqans: list[str] = []
    authority = ""
    for tag, part in _elements(info):
        if tag != 0x30:
            continue
        children = list(_elements(part))
        if len(children) == 2 and {child[0] for child in children} == {0x18} and expires is None:
            not_before, expires = _time(children[0][1]), _time(children[1][1])
        for child_tag, child in children:
            if child_tag == 0x30 and child.startswith(_FQAN_OID):
                leaves = list(_leaves(child[len(_FQAN_OID) :]))
                fqans += [value.decode("utf-8", "replace") for leaf, value in leaves if leaf == 0x04]
                authority = next((value.decode("utf-8", "replace") for leaf, value in leaves if leaf == 0x86), authority)
    return AttributeCertificate(tuple(fqans), not_before, expires, authority)


def _time(content: bytes) -> datetime | None:
    try:
        return datetime.strptime(content.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (ValueError, UnicodeDecodeError):
        return None


def _element(data: bytes, start: int) -> tuple[int, bytes, int]:
    """(tag, content, end) of the DER element at `start`."""
    tag, length = data[start], data[start + 1]
    position = start + 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 4:
            raise ValueError("odd length")
        length = int.from_bytes(data[position : position + count], "big")
        position += count
    if position + length > len(data):
        raise ValueError("cut off")
    return tag, data[position : position + length], position + length


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        tag, content, position = _element(data, position)
        yield tag, content


def _leaves(data: bytes, depth: int = 0) -> Iterator[tuple[int, bytes]]:
    for tag, content in _elements(data):
        if tag & 0x20 and depth < 10:
            yield from _leaves(content, depth + 1)
        else:
            yield tag, content


def voms_issuers(certificate_file: bytes) -> tuple[str, ...]:
    """Slash names of the VOMS servers that signed the attribute certificates of a proxy file (PEM), in their order.

    RFC 5755 section 4.2.3: AttCertIssuer is [0] V2Form with one directoryName. Raises ValueError.
    """
    try:
        chain = [x509.load_pem_x509_certificate(block) for block in _PEM.findall(certificate_file)]
        extensions = [extension.value for each in chain for extension in each.extensions if extension.oid.dotted_string == VOMS_AC_SEQUENCE]
        found = []
        for value in extensions[:1]:
            if isinstance(value, x509.UnrecognizedExtension):
                for _, group in _elements(_element(value.value, 0)[1]):
                    found += [_issuer_of(ac) for tag, ac in _elements(group) if tag == 0x30]
        return tuple(found)
    except IndexError as error:
        raise ValueError("the VOMS extension is cut off") from error


def _issuer_of(ac: bytes) -> str:
    info = _element(ac, 0)[1]
    form = next((content for tag, content in _elements(info) if tag == 0xA0), b"")
    names = next((content for tag, content in _elements(form) if tag == 0x30), b"")
    directory = next((content for tag, content in _elements(names) if tag == 0xA4), b"")
    name = next((content for tag, content in _elements(directory) if tag == 0x30), b"")
    parts = []
    for _, rdn in _elements(name):
        for _, pair in _elements(rdn):
            (_, oid), (_, value) = list(_elements(pair))[:2]
            dotted = _dotted(oid)
            parts.append(f"/{_SHORT.get(dotted, dotted)}={value.decode('utf-8', 'replace')}")
    return "".join(parts)


def _dotted(content: bytes) -> str:
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))
