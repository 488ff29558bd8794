"""The lake's public key infrastructure: one CA, its revocation list, hosts, people, VOMS trust, and spoiled credentials.

pki/
  ca.pem ca.key
  certificates/     <hash>.0, <hash>.signing_policy, <hash>.r0 in both OpenSSL spellings of the hash
  host.pem .key     servers (localhost, 127.0.0.1, ::1)
  voms.pem .key     signs VOMS attributes
  users/            certificate and key of each person
  proxies/          see proxies.py
  vomsdir/ vomses
  expired/ untrusted/ revoked/    alice.pem: a proxy each that must be refused; made once, never renewed
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from . import atomic, authority, proxies, register, topology
from .state import Facts, State

RENEW_BEFORE = timedelta(hours=24)
VOMS_NAME = "voms.localhost"
UNTRUSTED_CA_NAME = "Untrusted CA"
SPOILED = ("expired", "untrusted", "revoked")
SPOILED_PERSON = "alice"


class PkiError(RuntimeError):
    """The certificates could not be made; the message says why and what to do."""


def create(state: State, facts: Facts, now: datetime) -> None:
    """Make whatever is missing of the PKI; what exists and still lasts is kept."""
    atomic.directory(state.pki)
    atomic.directory(state.certificates)
    for private in ("users", *SPOILED):
        atomic.directory(state.pki / private, 0o700)
    if not state.ca.exists():
        made = authority.new_authority(topology.CA_NAME, now)
        # The certificate goes last: without it a crash in between leaves nothing that looks complete.
        _note_key(state, made)
        authority.save(made, state.ca, state.ca_key, key_mode=0o600)
    _install(state, _authority(state))
    _spoil(state, _authority(state), now)
    renew(state, facts, now)
    _voms_trust(state)


def renew(state: State, facts: Facts, now: datetime) -> list[str]:
    """Renew under the same CA whatever ends within 24 h of `now` or is missing, and always the CRL.

    Returns what was renewed: `host`, `voms`, names of people, `crl`. Raises PkiError when the CA itself is gone or over.
    """
    signer = _authority(state)
    if not signer.certificate.not_valid_before_utc <= now < signer.certificate.not_valid_after_utc - RENEW_BEFORE:
        raise PkiError(f"The CA in {state.ca} is not valid today; run `qostui lake reset` after removing {state.pki}.")
    people = [person.name for person in topology.PEOPLE if person.certificate]
    wanted = [
        ("host", topology.HOST, state.host_cert, state.host_key),
        ("voms", VOMS_NAME, proxies.voms_cert(state), proxies.voms_key(state)),
        *((person, person, state.user_cert(person), state.user_key(person)) for person in people),
    ]
    renewed = []
    for label, common_name, certificate_file, key_file in wanted:
        if not _lasts(authority.load(certificate_file, key_file), signer, now):
            made = authority.issue(signer, common_name, now, host=label in ("host", "voms"))
            _note_key(state, made)
            authority.save(made, certificate_file, key_file)
            renewed.append(label)
    write_revocations(state, now, now + authority.REVOCATIONS_LIFETIME)
    return [*renewed, "crl"]


def write_revocations(state: State, issued: datetime, ends: datetime) -> None:
    """Sign and place the CRL; it lists what lies in `revoked/`. An `ends` in the past places an expired one (for a drill)."""
    signer = _authority(state)
    revoked = [certificate for path in sorted((state.pki / "revoked").glob("*.pem")) for certificate in _issued_by(signer, path)]
    content = authority.revocations(signer, revoked, issued, ends)
    for name in subject_hashes(state.ca):
        atomic.write(state.certificates / f"{name}.r0", content)


def subject_hashes(certificate_file: Path) -> tuple[str, ...]:
    """OpenSSL's names for a CA file: the hash since 1.0, then the older MD5 one that Globus and XRootD still look for."""
    found = []
    for option in ("-subject_hash", "-subject_hash_old"):
        command = ["/usr/bin/openssl", "x509", "-noout", option, "-in", str(certificate_file)]
        try:
            done = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
        except FileNotFoundError:
            raise PkiError("/usr/bin/openssl is missing; install the package openssl.") from None
        if done.returncode != 0:
            raise PkiError(f"openssl cannot read {certificate_file}: {done.stderr.strip()}")
        found.append(done.stdout.strip())
    return tuple(dict.fromkeys(found))


def spoiled_proxy(state: State, kind: str) -> Path:
    """A proxy in alice's name that must be refused; `kind` is one of SPOILED."""
    return state.pki / kind / f"{SPOILED_PERSON}.pem"


def _note_key(state: State, made: authority.Credential) -> None:
    register.note(state, *register.key_lines(authority.key_pem(made.key)))


def _authority(state: State) -> authority.Credential:
    loaded = authority.load(state.ca, state.ca_key)
    if loaded is None:
        pair = f"{state.ca.name} and {state.ca_key.name}"
        raise PkiError(f"The CA in {state.pki} is damaged: {pair} do not fit; run `qostui lake install` again.")
    return loaded


def _install(state: State, signer: authority.Credential) -> None:
    policy = (
        f"access_id_CA X509 '{topology.distinguished_name(topology.CA_NAME)}'\n"
        "pos_rights globus CA:sign\n"
        f"cond_subjects globus '\"{topology.DN_BASE}/*\"'\n"
    )
    for name in subject_hashes(state.ca):
        atomic.write(state.certificates / f"{name}.0", authority.certificate_pem(signer.certificate))
        atomic.write(state.certificates / f"{name}.signing_policy", policy)


def _voms_trust(state: State) -> None:
    lsc_directory = atomic.directory(state.vomsdir / topology.VO)
    server = topology.distinguished_name(VOMS_NAME)
    host, _, port = proxies.VOMS_ADDRESS.partition(":")
    atomic.write(lsc_directory / f"{host}.lsc", f"{server}\n{topology.distinguished_name(topology.CA_NAME)}\n")
    atomic.write(state.vomses, f'"{topology.VO}" "{host}" "{port}" "{server}" "{topology.VO}"\n')


def _spoil(state: State, signer: authority.Credential, now: datetime) -> None:
    """Each is right in all but one thing, for as long as the CA lasts, so that a refusal has one cause."""
    missing = [kind for kind in SPOILED if not spoiled_proxy(state, kind).exists()]
    starts, ends = now - authority.BACKDATE, now + authority.AUTHORITY_LIFETIME
    for kind in missing:
        issuer = authority.new_authority(UNTRUSTED_CA_NAME, now) if kind == "untrusted" else signer
        holder = authority.issue(issuer, SPOILED_PERSON, now, lifetime=authority.AUTHORITY_LIFETIME)
        over = now - timedelta(minutes=1) if kind == "expired" else ends
        if kind == "untrusted":
            atomic.write(state.pki / kind / "ca.crt", authority.certificate_pem(issuer.certificate))
        content = proxies.rfc_proxy(holder, starts, over)
        register.note(state, *register.key_lines(content))
        atomic.write(spoiled_proxy(state, kind), content, 0o600)


def _lasts(credential: authority.Credential | None, signer: authority.Credential, now: datetime) -> bool:
    if credential is None or credential.certificate.issuer != signer.certificate.subject:
        return False
    return credential.certificate.not_valid_before_utc <= now and credential.certificate.not_valid_after_utc > now + RENEW_BEFORE


def _issued_by(signer: authority.Credential, path: Path) -> list[x509.Certificate]:
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return [certificate for certificate in found if certificate.issuer == signer.certificate.subject]
