"""The actions of `qostui profile` that change the configuration: add, edit, remove, use."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from .. import config, paths, toml_tables
from ..adapters import editor
from ..domain.errors import Problem, UsageProblem
from ..domain.text import clean
from .profile import KEYS, say, unknown

_NOTE = "#:"
"""Lines of ours in what the editor shows; they do not go into the file."""
_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


def add(options: argparse.Namespace) -> int:
    """Write a new profile from KEY=VALUE, a rucio.cfg, or both."""
    file, name = paths.config_file(), options.name
    values: dict[str, Any] = assignments(options.values)
    finish: Callable[[], None] | None = None
    _check_new(name, config.profile_tables(file), file)
    if options.source is not None:
        from . import profile_import

        options.guard()
        values, finish = profile_import.values(options.source, name, values, options.password_file, os.environ)
    elif options.password_file is not None:
        raise UsageProblem("--password-file goes with --from", step="give password_file=PATH for a file that is there already")
    values = {key: values[key] for key in KEYS if values.get(key) is not None}
    config.check_profile(name, values, file)
    finished = False

    def edited(text: str) -> str:
        nonlocal finished
        _check_new(name, tomllib.loads(text).get("profiles", {}), file)
        changed = toml_tables.put(text, name, values)
        if finish is not None:
            config.check_text(file, changed)
            finish()
            finished = True
        return changed

    try:
        _change(file, edited)
    except BaseException:
        if finished and options.password_file is not None:
            # The pass word of a profile that was not written lies nowhere.
            Path(values["password_file"]).unlink(missing_ok=True)
        raise
    say(f"{file} has profile {name} now; to prove it: qostui profile check {name}")
    return 0


def _check_new(name: str, known: Mapping[str, Any], file: Path) -> None:
    if name in known:
        raise UsageProblem(f"{file} has a profile {name} already", step=f"qostui profile edit {name}")
    if name == config.ENV_PROFILE:
        raise UsageProblem(f"{name} is the name of what RUCIO_* variables say", step="call it otherwise")


def assignments(words: list[str]) -> dict[str, Any]:
    """KEY=VALUE as keys and values of a profile, paths made absolute, None for `KEY=`; raises UsageProblem."""
    values: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise UsageProblem(f"{word!r} is not KEY=VALUE", step="such as account=ops")
        if key not in KEYS:
            near = get_close_matches(key, KEYS, 1, 0.5)
            raise UsageProblem(f"no key is called {key!r}", step=f"did you mean {near[0]}?" if near else f"keys: {', '.join(KEYS)}")
        if key in values:
            raise UsageProblem(f"{key} is given twice", step="leave one of them out")
        values[key] = _value(key, value) if value else None
    return values


def _value(key: str, value: str) -> Any:
    if key in config.FLAG_KEYS:
        if value.lower() not in (*_YES, *_NO):
            raise UsageProblem(f"{key} is true or false, not {value!r}", step=f"{key}=true or {key}=false")
        return value.lower() in _YES
    # A shell leaves the ~ of key=~/file alone; the file may be read from anywhere, so a relative path is not kept.
    return os.path.abspath(os.path.expanduser(value)) if key in config.PATH_KEYS else value


def edit(options: argparse.Namespace) -> int:
    """Change a profile by KEY=VALUE, or as text in the operator's editor."""
    file, name = paths.config_file(), options.name
    known = config.profile_tables(file)
    if name == config.ENV_PROFILE and name not in known:
        raise UsageProblem(f"{name} is what RUCIO_* variables say, and stands in no file", step="change the variables")
    if name not in known:
        raise unknown(name, list(known))
    changes = assignments(options.values)
    if not changes:
        return _edit_text(file, name)

    def edited(text: str) -> str:
        before = tomllib.loads(text).get("profiles", {})
        if name not in before:
            raise unknown(name, list(before))
        merged = {key: value for key, value in {**before[name], **changes}.items() if value is not None}
        config.check_profile(name, merged, file)
        return toml_tables.merge(text, name, changes)

    _change(file, edited)
    say(f"{file}: profile {name} is changed")
    return 0


def _edit_text(file: Path, name: str) -> int:
    before = toml_tables.body(file.read_text(encoding="utf-8"), name)
    directory = Path(tempfile.mkdtemp(prefix="qostui-"))
    copy = directory / f"{name}.toml"
    keep = False
    try:
        copy.write_text(f"{_notes(file, name)}{before}", encoding="utf-8")
        copy.chmod(0o600)
        while True:
            editor.edit(copy)
            try:
                text = _checked_copy(copy, name)
                if text == before:
                    say("nothing was changed")
                    return 0
                _change(file, partial(_replaced, name=name, before=before, body=text))
            except _ChangedMeanwhile as problem:
                keep = True
                raise UsageProblem(problem.summary, step=f"your text is in {copy}") from None
            except UsageProblem as problem:
                if not _again(problem):
                    raise
                continue
            say(f"{file}: profile {name} is changed")
            return 0
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


class _ChangedMeanwhile(UsageProblem):
    """Somebody else changed the profile while it was in the editor."""


def _notes(file: Path, name: str) -> str:
    words = textwrap.wrap(f"Profile {name} of {clean(file)}. Keys: {', '.join(KEYS)}.", 110)
    return "".join(f"{_NOTE} {line}\n" for line in [*words, 'Text values stand in quotes: account = "ops". These lines are left out.'])


def _checked_copy(copy: Path, name: str) -> str:
    """The text that was edited, without our notes; raises UsageProblem with the line in the copy."""
    try:
        text, table = config.document(copy)
    except FileNotFoundError:
        raise UsageProblem(f"{copy} is gone", step="save it under its name") from None
    config.check_profile(name, table, copy, text)
    return "".join(line for line in toml_tables.lines(text) if not line.startswith(_NOTE))


def _replaced(text: str, *, name: str, before: str, body: str) -> str:
    if name not in tomllib.loads(text).get("profiles", {}) or toml_tables.body(text, name) != before:
        raise _ChangedMeanwhile(f"profile {name} was changed by another process meanwhile")
    return toml_tables.put_body(text, name, body)


def _again(problem: UsageProblem) -> bool:
    """Whether the operator wants to mend it; nobody can be asked without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(f"{problem.summary}{f'; {problem.step}' if problem.step else ''}")
    print("Edit it again? [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") and answer != ""


def remove(options: argparse.Namespace) -> int:
    """Take a profile out of the configuration, with the rows and sessions kept for it."""
    file, name = paths.config_file(), options.name
    known = config.profile_tables(file)
    if name not in known:
        raise unknown(name, list(known))
    if not options.yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageProblem("removing asks on a terminal, and there is none", step=f"qostui profile remove --yes {name}")
        print(f"Remove profile {clean(name)}, its kept rows and its session? Type its name: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != name:
            raise UsageProblem("the name was not typed: nothing is removed", step="run the command again")

    def edited(text: str) -> str:
        before = tomllib.loads(text).get("profiles", {})
        if name not in before:
            raise unknown(name, list(before))
        return toml_tables.drop(text, name)

    _change(file, edited)
    say(f"profile {name} is removed from {file}; files that it named are left alone")
    for directory in (paths.state_dir() / "last" / name, paths.runtime_dir() / name):
        _remove_directory(directory)
    return 0


def _remove_directory(directory: Path) -> None:
    if directory.is_symlink() or not directory.is_dir():
        return
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise Problem(f"{directory} cannot be removed: {error.strerror}", step="remove it by hand") from error


def use(options: argparse.Namespace) -> int:
    """Make a profile the default one."""
    file, name = paths.config_file(), options.name

    def edited(text: str) -> str:
        known = tomllib.loads(text).get("profiles", {})
        if name not in known and name != config.ENV_PROFILE:
            raise unknown(name, list(known))
        return toml_tables.set_default(text, name)

    _change(file, edited)
    say(f"{name} is the default profile now")
    if os.environ.get("QOSTUI_PROFILE"):
        say("in this shell $QOSTUI_PROFILE says otherwise, and wins")
    return 0


def _change(file: Path, edited: Callable[[str], str]) -> None:
    try:
        config.change(file, edited)
    except OSError as error:
        raise UsageProblem(f"{file} cannot be written: {error.strerror}", step="mend that, then run the command again") from error
