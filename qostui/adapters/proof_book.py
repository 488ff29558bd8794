"""What storage doors said to the credentials of a profile when they were last shown to them; in memory, for one run."""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from ..domain.credential import Credential, Proof


class ProofBook:
    """Proofs by credential and door. What was said to a credential does not hold for one that took its place."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._versions: dict[str, tuple[str, str, datetime | None]] = {}
        self._proofs: dict[str, dict[str, Proof]] = {}

    def note(self, credential: Credential, proof: Proof) -> None:
        """Write down what a door said to this version of a credential."""
        with self._lock:
            if self._known(credential):
                self._proofs.setdefault(credential.id, {})[proof.where] = proof

    def of(self, credential: Credential) -> tuple[Proof, ...]:
        """What was said to it, by the names of the doors; nothing once the credential is another one."""
        with self._lock:
            if not self._known(credential):
                self._versions[credential.id] = _version(credential)
                self._proofs.pop(credential.id, None)
            return tuple(proof for _, proof in sorted(self._proofs.get(credential.id, {}).items()))

    def _known(self, credential: Credential) -> bool:
        return self._versions.setdefault(credential.id, _version(credential)) == _version(credential)


def _version(credential: Credential) -> tuple[str, str, datetime | None]:
    return credential.serial, credential.subject, credential.expires
