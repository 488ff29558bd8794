"""Globus signing policies (EACL): which names a CA may sign."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"\"([^\"]*)\"")
_SPELLINGS = (("/email=", "/emailaddress="), ("/e=", "/emailaddress="), ("/userid=", "/uid="))
"""Globus and OpenSSL do not spell all attributes alike."""


class Policy(dict[str, tuple[str, ...]]):
    """Name of a CA -> patterns of the subjects that it may sign; names are compared whatever their spelling of attributes."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(plain(str(name)))


def plain(name: str) -> str:
    """A name in one spelling, for comparing."""
    lowered = name.strip().lower()
    for one, other in _SPELLINGS:
        lowered = lowered.replace(one, other)
    return lowered


def parse(text: str) -> Policy:
    """The entries of a file that let a CA sign (`pos_rights globus CA:sign`); what makes no sense is left out."""
    found: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    may_sign = fresh = False
    for line in text.splitlines():
        words = line.strip().split(None, 2)
        if len(words) < 3 or words[0].startswith("#"):
            continue
        word, value = words[0].lower(), words[2].strip()
        if word == "access_id_ca":
            # Several in a row share the rights that follow.
            names = ([*names] if fresh else []) + [plain(_unquoted(value))]
            may_sign, fresh = False, True
        elif word in ("pos_rights", "neg_rights"):
            may_sign, fresh = word == "pos_rights" and value.lower().startswith("ca:sign"), False
        elif word == "cond_subjects" and may_sign:
            inner = _unquoted(value)
            patterns = tuple(plain(each) for each in _QUOTED.findall(inner)) or (plain(inner),)
            for name in names:
                found[name] = found.get(name, ()) + patterns
    return Policy(found)


def _unquoted(value: str) -> str:
    return value[1:].partition(value[0])[0] if value[:1] in ("'", '"') else value.partition("#")[0].strip()


def allows(policy: Policy, ca: str, subject: str) -> bool:
    """Whether the policy lets that CA sign that subject; `*` stands for anything."""
    wanted = plain(subject)
    return any(_matches(pattern, wanted) for pattern in policy.get(plain(ca), ()))


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None
