"""Reading a grid CA directory: which CAs lie there, and under which names OpenSSL, Globus and XRootD look for them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from ...domain.errors import Problem
from .. import x509 as grid

DEFAULT_DIRECTORY = Path("/etc/grid-security/certificates")
"""Where every grid tool looks when X509_CERT_DIR does not say otherwise."""
HASHED = re.compile(r"([0-9a-f]{8})\.(\d+)")
MAX_BYTES = 4 << 20
_CERTIFICATE_NAMES = re.compile(r".+\.(pem|crt|cer|\d+)")
_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Anchor:
    """One CA, and the files of the directory that hold it."""

    certificate: x509.Certificate
    files: tuple[str, ...]
    names: tuple[str, str]
    """OpenSSL's hash of the subject since 1.0, and the older one by MD5; eight hexadecimal digits each."""

    @property
    def subject(self) -> str:
        """In slash form."""
        return grid.slash(self.certificate.subject)

    @property
    def is_root(self) -> bool:
        return self.certificate.subject == self.certificate.issuer


@dataclass
class Directory:
    """A CA directory as it lies on the disk."""

    path: Path
    anchors: list[Anchor] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """`name: why` for files that should hold a CA and do not."""


def certificates_of(content: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file; raises ValueError."""
    blocks = _PEM_BLOCK.findall(content)
    try:
        found = [x509.load_pem_x509_certificate(block) for block in blocks] if blocks else [x509.load_der_x509_certificate(content)]
        for each in found:
            # The library reads these when they are asked for, and so complains late.
            _ = each.subject, each.issuer, each.not_valid_before_utc, each.not_valid_after_utc
    except x509.InvalidVersion as error:
        raise ValueError("no certificate of version 1 or 3") from error
    return found


def read(path: Path) -> Directory:
    """The directory at `path`; raises Problem when it is missing or cannot be listed."""
    try:
        names = sorted(each.name for each in path.iterdir())
    except OSError as error:
        raise Problem(f"the CA directory {path}: {error.strerror}", step="check ca_path of the profile, or install the CAs") from error
    found = Directory(path)
    holding: dict[bytes, tuple[x509.Certificate, list[str]]] = {}
    for name in names:
        if not _CERTIFICATE_NAMES.fullmatch(name):
            continue
        try:
            with (path / name).open("rb") as file:
                content = file.read(MAX_BYTES)
            for certificate in certificates_of(content):
                der = certificate.fingerprint(SHA256())
                holding.setdefault(der, (certificate, []))[1].append(name)
        except OSError as error:
            found.unreadable.append(f"{name}: {error.strerror}")
        except ValueError:
            found.unreadable.append(f"{name}: no certificate in it")
    found.anchors = [Anchor(certificate, tuple(files), subject_names(certificate.subject)) for certificate, files in holding.values()]
    return found


def subject_names(name: x509.Name) -> tuple[str, str]:
    """OpenSSL's two names for a subject (X509_NAME_hash and X509_NAME_hash_old of crypto/x509/x509_cmp.c).

    The first is the head of the SHA-1 of the canonical form (x_name.c: UTF-8, lower case, blanks squeezed, without the
    outer sequence), the second that of the MD5 of the name as it is encoded; both are read as little-endian numbers.
    """
    canonical = b"".join(_der(0x31, *sorted(_pair(part) for part in rdn)) for rdn in name.rdns)
    new = hashlib.sha1(canonical, usedforsecurity=False).digest()
    old = hashlib.md5(name.public_bytes(), usedforsecurity=False).digest()
    return f"{int.from_bytes(new[:4], 'little'):08x}", f"{int.from_bytes(old[:4], 'little'):08x}"


def _pair(part: x509.NameAttribute[str | bytes]) -> bytes:
    return _der(0x30, _object_id(part.oid.dotted_string), _der(0x0C, _squeezed(part)))


def _squeezed(part: x509.NameAttribute[str | bytes]) -> bytes:
    value = part.value if isinstance(part.value, str) else part.value.decode("latin-1")
    # Only ASCII letters are lowered, and only ASCII blanks are squeezed.
    words = re.split(r"[ \t\n\v\f\r]+", value.strip(" \t\n\v\f\r"))
    return re.sub(r"[A-Z]", lambda letter: letter[0].lower(), " ".join(words)).encode()


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _object_id(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = b""
    for number in (first * 40 + second, *rest):
        group = bytes([number & 0x7F])
        while number := number >> 7:
            group = bytes([0x80 | number & 0x7F]) + group
        content += group
    return _der(0x06, content)
