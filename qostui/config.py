"""Settings: TOML below $XDG_CONFIG_HOME/qostui, `$QOSTUI_*` overrides, profiles. Wrong keys are named with file and line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from . import paths
from .domain import keys, profile_checks
from .domain.errors import UsageProblem
from .domain.profile import Profile
from .services import files

PATH_KEYS = ("password_file", "certificate", "key", "proxy", "token_file", "ca", "ca_path", "vomses", "voms_dir")
FLAG_KEYS = ("read_only",)
ENV_PROFILE = "env"


@dataclass(frozen=True)
class Settings:
    """Everything that can be configured; the fields up to `profiles` are the top-level keys of the file."""

    default_profile: str | None = None
    theme: str = "qostui"
    theme_over_ssh: str = ""
    """The theme on a slow line; "" is `theme`. `sixteen` writes half the bytes."""
    ssh: bool | None = None
    """The line is slow: write less (see ui/terminal.py); None: when `$SSH_CONNECTION` or `$SSH_TTY` says so."""
    mouse: bool = False
    read_only: bool = False
    """Change nothing on any profile."""
    max_ok_rules: int = 2000
    """OK rules that the rules feed reads; all rules in other states are always read."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Name of a binding -> its keys instead of the usual ones, from keys.toml and the table [keys]: those that hold."""
    key_faults: tuple[str, ...] = ()
    """What is wrong with the rest of it, one sentence each: never a reason not to start."""
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    file: Path | None = None
    """Where this was read from; None: there is no configuration file."""
    state_dir: Path = field(default_factory=paths.state_dir)
    runtime_dir: Path = field(default_factory=paths.runtime_dir)

    def profile(self, name: str | None = None) -> Profile:
        """The profile called `name`, else the default one; raises UsageProblem with a hint."""
        wanted = name or self.default_profile
        if wanted is None:
            if ENV_PROFILE in self.profiles:
                return self.profiles[ENV_PROFILE]
            if len(self.profiles) == 1:
                return next(iter(self.profiles.values()))
            if not self.profiles:
                raise UsageProblem(
                    "nothing is configured: there is no profile and no RUCIO_* variable",
                    step=f"run `make demo` for a lake of your own, or write {paths.config_file()}",
                )
            raise UsageProblem("which profile?", step=f"--profile one of: {', '.join(self.profiles)}")
        if wanted not in self.profiles:
            near = get_close_matches(wanted, list(self.profiles), 1)
            step = f"did you mean {near[0]}?" if near else f"profiles: {', '.join(self.profiles) or 'none'}"
            raise UsageProblem(f"no profile is called {wanted!r}", step=step)
        return self.profiles[wanted]


_handed: list[Profile] = []


def hand_over(profile: Profile | None) -> None:
    """Join this profile as `env` from now on: its variables are gone from the process after the first look."""
    _handed[:] = [] if profile is None else [profile]


def load(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the file (none is fine), then `$QOSTUI_*`; what was handed over is profile `env`. Raises UsageProblem.

    Keys come from keys.toml too (beside the file that is named, else in the configuration directory); it wins over [keys].
    """
    file = path if path is not None else paths.config_file(env)
    settings, written = _read(file, explicit=path is not None or bool(env.get("QOSTUI_CONFIG")))
    settings = _with_keys(settings, written, (paths.config_dir(env) if path is None else path.parent) / paths.KEYS)
    if _handed:
        settings = replace(settings, profiles={**settings.profiles, ENV_PROFILE: _handed[0]})
    return replace(_override(settings, env), state_dir=paths.state_dir(env), runtime_dir=paths.runtime_dir(env))


def _with_keys(settings: Settings, written: Mapping[str, keys.Rebinding], file: Path) -> Settings:
    """The keymap that holds, of the table [keys] and the keymap file."""
    faults: tuple[str, ...] = ()
    try:
        text, table = document(file)
        own = _rebindings(table, file, text.splitlines(), ())
        # In front, since of two that want one key the first gets it.
        written = {**own, **{name: rebinding for name, rebinding in written.items() if name not in own}}
    except FileNotFoundError:
        pass
    except UsageProblem as problem:
        faults = (f"{problem.summary}; {problem.step}",)
    keymap = keys.resolve(written)
    return replace(settings, keymap=keymap.keys, key_faults=(*faults, *keymap.faults))


def _rebindings(table: Mapping[str, Any], file: Path, lines: list[str], where: tuple[str, ...]) -> dict[str, keys.Rebinding]:
    """What a table of keys says; `pane.refresh` is the same with quotes, without, and as `refresh` in a table [pane]."""
    found: dict[str, keys.Rebinding] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_rebindings(value, file, lines, (*where, key)))
        else:
            path = (*where, key)
            name = ".".join(path[1:] if path[0] == "keys" and len(path) > 1 else path)
            found[name] = keys.Rebinding(value, f"{file}:{_line_of(lines, '.'.join(path))}")
    return found


def _line_of(lines: list[str], path: str) -> int:
    """The line that gives the key with this dotted path, in whatever way it is split between header and key."""
    header = ""
    for number, line in enumerate(lines, 1):
        if table := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            header = _unquoted(table[1]) + "."
        elif (entry := re.match(r"\s*([^=#]+?)\s*=", line)) and header + _unquoted(entry[1]) == path:
            return number
    return 1


def _unquoted(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)


def document(file: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a TOML file; raises FileNotFoundError, or UsageProblem with file and line."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageProblem(f"{file}: cannot be read: {reason}", step="mend the file or its permissions") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = where[1] if where else str(text.count("\n") + 1)
        reason = re.sub(r" \(at .*\)", "", str(error))
        raise UsageProblem(f"{file}:{line}: not valid TOML: {reason}", step="mend that line") from error


def _read(file: Path, *, explicit: bool) -> tuple[Settings, dict[str, keys.Rebinding]]:
    """The settings in this file, and what its table [keys] says."""
    try:
        text, table = document(file)
    except FileNotFoundError:
        if explicit:
            raise UsageProblem(f"{file}: there is no such file", step="write it, or leave out $QOSTUI_CONFIG") from None
        return Settings(), {}
    reader = _Reader(file, text)
    return reader.settings(table), reader.rebindings(table)


class _Reader:
    """Checks one document and makes settings of it; without a text what is wrong is told without a place."""

    def __init__(self, file: Path, text: str | None) -> None:
        self._file = file
        self._has_lines = text is not None
        self._lines = (text or "").splitlines()

    def settings(self, document: dict[str, Any]) -> Settings:
        simple = {"default_profile": str, "theme": str, "theme_over_ssh": str, "ssh": bool}
        simple |= {"mouse": bool, "read_only": bool, "max_ok_rules": int}
        self._known(document, (*simple, "keys", "profiles"), ())
        values = {key: self._typed(document, key, kind, ()) for key, kind in simple.items() if key in document}
        if values.get("max_ok_rules", 1) < 0:
            raise self._wrong("max_ok_rules", (), "max_ok_rules is below 0", "0 shows no OK rules, 2000 is the default")
        tables = self._typed(document, "profiles", dict, ()) or {}
        profiles = {name: self.profile(name, self._typed(tables, name, dict, ("profiles",)), ("profiles", name)) for name in tables}
        settings = Settings(**values, profiles=profiles, file=self._file)
        if settings.default_profile is not None and settings.default_profile not in (*profiles, ENV_PROFILE):
            near = get_close_matches(settings.default_profile, list(profiles), 1)
            step = f"did you mean {near[0]}?" if near else f"profiles: {', '.join(profiles) or 'none'}"
            raise self._wrong("default_profile", (), f"no profile is called {settings.default_profile!r}", step)
        return settings

    def rebindings(self, document: dict[str, Any]) -> dict[str, keys.Rebinding]:
        """What the table [keys] says."""
        return _rebindings(self._typed(document, "keys", dict, ()) or {}, self._file, self._lines, ("keys",))

    def profile(self, name: str, table: dict[str, Any], where: tuple[str, ...]) -> Profile:
        """The profile that a table makes; raises UsageProblem."""
        if not re.fullmatch(profile_checks.NAME, name):
            raise self._wrong("", where, f"{name!r} cannot be the name of a profile", "use letters, digits, _ . and -")
        self._known(table, Profile.keys(), where)
        values: dict[str, Any] = {}
        for key in table:
            value = self._typed(table, key, bool if key in FLAG_KEYS else str, where)
            values[key] = self._path(value) if key in PATH_KEYS and value else value
        for fault, summary, step in profile_checks.faults(name, values):
            raise self._wrong(fault, where, summary, step)
        return Profile(name=name, **{key: value for key, value in values.items() if value != "" or key not in PATH_KEYS})

    def _path(self, value: str) -> Path:
        expanded = Path(value).expanduser()
        return expanded if expanded.is_absolute() else self._file.parent / expanded

    def _known(self, table: dict[str, Any], known: tuple[str, ...], where: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1, 0.5)
                step = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
                raise self._wrong(key, where, f"unknown key {key!r}", step)

    def _typed(self, table: dict[str, Any], key: str, kind: type, where: tuple[str, ...]) -> Any:
        value = table.get(key)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            word = {str: "a text in quotes", bool: "true or false", int: "a whole number", dict: "a table"}[kind]
            raise self._wrong(key, where, f"{key} must be {word}", f"it is {value!r} now")
        return value

    def _wrong(self, key: str, where: tuple[str, ...], summary: str, step: str) -> UsageProblem:
        place = f"{self._file}:{self._line(key, where)}: " if self._has_lines else ""
        return UsageProblem(f"{place}{summary}", step=step)

    def _line(self, key: str, where: tuple[str, ...]) -> int:
        """Line of a key in its table, as far as a plain look at the text tells; the table's own line when key is ""."""
        header = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(_key_pattern(part) for part in where) + r"\s*\]") if where else None
        entry = re.compile(r"\s*" + _key_pattern(key) + r"\s*[=.]|\s*\[\s*" + _key_pattern(key) + r"\s*[\].]") if key else None
        inside, table_line = header is None, 1
        for number, line in enumerate(self._lines, 1):
            if header is not None and header.match(line):
                inside, table_line = True, number
                if entry is None:
                    return number
                continue
            if inside and entry is not None and entry.match(line):
                return number
            if header is not None and inside and line.lstrip().startswith("["):
                inside = False
        return table_line


def _key_pattern(key: str) -> str:
    return f"[\"']?{re.escape(key)}[\"']?"


def _flag(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("write 1 or 0")


_OVERRIDES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "QOSTUI_PROFILE": ("default_profile", str),
    "QOSTUI_THEME": ("theme", str),
    "QOSTUI_THEME_OVER_SSH": ("theme_over_ssh", str),
    "QOSTUI_SSH": ("ssh", _flag),
    "QOSTUI_MOUSE": ("mouse", _flag),
    "QOSTUI_READ_ONLY": ("read_only", _flag),
    "QOSTUI_MAX_OK_RULES": ("max_ok_rules", int),
}


def _override(settings: Settings, env: Mapping[str, str]) -> Settings:
    changes: dict[str, Any] = {}
    for variable, (key, convert) in _OVERRIDES.items():
        if variable in env and env[variable] != "":
            try:
                changes[key] = convert(env[variable])
            except ValueError as error:
                raise UsageProblem(f"${variable} is {env[variable]!r}", step=str(error)) from error
    return replace(settings, **changes)


def check_profile(name: str, table: Mapping[str, Any], file: Path, text: str | None = None) -> Profile:
    """The profile that these keys in `file` make; raises UsageProblem, with the line when the `text` of the table is given."""
    return _Reader(file, text).profile(name, dict(table), ())


def check_text(file: Path, text: str) -> None:
    """Raises UsageProblem when this text would not do as the configuration `file`; it is TOML already."""
    _Reader(file, text).settings(tomllib.loads(text))


def profile_tables(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of the profiles as they are written, whether they hold or not; none without a file. Raises UsageProblem."""
    try:
        tables = document(path)[1].get("profiles", {})
    except FileNotFoundError:
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)} if isinstance(tables, dict) else {}


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Replace the text of the file by what `edit` makes of it; one process at a time, in one step, mode 0600, checked before.

    Raises UsageProblem (leaving the file as it was), what `edit` raises, and OSError; TimeoutError when others do not end.
    """
    target = path.resolve()  # a link stays one
    with files.alone(target):
        try:
            text, _ = document(target)
        except FileNotFoundError:
            text = ""
        changed = edit(text if text.endswith("\n") or not text else f"{text}\n")
        try:
            check_text(path, changed)
        except UsageProblem:
            # When it was wrong before, that is said with the line that it has now.
            check_text(path, text)
            raise
        files.replace(target, changed)


def write_profiles(
    path: Path,
    profiles: Mapping[str, Mapping[str, Any]],
    *,
    default_profile: str | None = None,
    replacing: tuple[str, ...] = (),
) -> None:
    """Add or replace profiles in the file at `path`, keeping everything else, comments included; see `change`.

    `replacing` names profiles to drop first.
    """
    from . import toml_tables

    def edit(text: str) -> str:
        known = tomllib.loads(text).get("profiles", {})
        for name in replacing:
            text = toml_tables.drop(text, name) if name in known else text
        for name, values in profiles.items():
            text = toml_tables.put(text, name, values)
        return text if default_profile is None else toml_tables.set_default(text, default_profile)

    change(path, edit)
