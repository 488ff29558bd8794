"""What is installed is what was locked, and what is shipped is complete."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import qostui

CHECKOUT = Path(__file__).parents[2]
LOCKS = sorted((CHECKOUT / "locks").glob("*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ENTRY = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)")


def entries(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Name -> (version, hashes) of one lock file; fails the test on a line that is anything else."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in lock.read_text().replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        entry = ENTRY.fullmatch(words[0])
        assert entry, f"{lock.name}: {line[:80]}"
        assert all(HASH.fullmatch(word) for word in words[1:]), f"{lock.name}: {words[0]} has something beside hashes"
        assert entry["name"] not in found, f"{lock.name}: {entry['name']} twice"
        found[entry["name"]] = (entry["version"], words[1:])
    return found


def normalized(name: str) -> str:
    """A project name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wishes(file: Path) -> dict[str, str]:
    """What an `.in` file asks for: normalized name -> version condition, empty where any will do."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    parts = [re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", line) for line in lines]
    return {normalized(part[1]): part[2] for part in parts if part}


def test_the_three_environments_are_locked() -> None:
    assert [lock.name for lock in LOCKS] == ["console.txt", "lake-40.4.2.txt", "lake-41.5.1.txt"]


@pytest.mark.parametrize("file", sorted((CHECKOUT / "locks").iterdir()), ids=lambda file: file.name)
def test_no_lock_names_an_address(file: Path) -> None:
    assert "://" not in file.read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_locked_package_has_a_version_and_hashes(lock: Path) -> None:
    packages = entries(lock)
    assert len(packages) > 50
    assert [name for name, (_, hashes) in packages.items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_what_is_asked_for_is_locked(lock: Path) -> None:
    packages = entries(lock)
    for name, condition in wishes(lock.with_suffix(".in")).items():
        assert name in packages
        if condition.startswith("=="):
            assert packages[name][0] == condition.removeprefix("==")


def test_the_console_lock_holds_every_dependency_of_the_project() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = wishes(CHECKOUT / "locks" / "console.in")
    for dependency in project["dependencies"]:
        name, _, version = dependency.partition("==")
        assert wanted[normalized(name)] == (f"=={version}" if version else "")


def test_private_parts_are_used_of_exact_versions_only() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    packages = entries(CHECKOUT / "locks" / "console.txt")
    for name in ("textual", "rucio-clients"):
        assert f"{name}=={packages[name][0]}" in project["dependencies"]


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.stem.startswith("lake-")], ids=lambda lock: lock.stem)
def test_rucio_server_and_clients_are_of_one_version(lock: Path) -> None:
    packages = entries(lock)
    assert packages["rucio"][0] == packages["rucio-clients"][0] == lock.stem.removeprefix("lake-")


def test_every_debian_package_says_why() -> None:
    lines = [line for line in (CHECKOUT / "setup" / "packages.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+ +# \S.*", line)] == []
    names = [line.split()[0] for line in lines]
    assert len(set(names)) == len(names)


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == qostui.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The project's wheel, built by this environment alone."""
    directory = tmp_path_factory.mktemp("wheel")
    hatchling = CHECKOUT / ".venv" / "bin" / "hatchling"
    subprocess.run([hatchling, "build", "--target", "wheel", "--directory", directory], cwd=CHECKOUT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_themes_locks_and_the_inside_of_the_lake(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    themes = {f"qostui/_themes/{theme.name}" for theme in (CHECKOUT / "themes").glob("*.toml")}
    assert themes
    assert themes <= names
    assert {f"qostui/_locks/{lock.name}" for lock in LOCKS} <= names
    code = {str(module.relative_to(CHECKOUT)) for module in (CHECKOUT / "qostui").rglob("*.py")}
    assert code <= names
    assert not [name for name in names if name.startswith(("tests/", "setup/"))]


def test_the_wheel_says_who_it_is_and_starts_the_console(wheel: zipfile.ZipFile) -> None:
    about = f"qostui-{qostui.__version__}.dist-info"
    metadata = HeaderParser().parsestr(wheel.read(f"{about}/METADATA").decode())
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("qostui", qostui.__version__, "Apache-2.0")
    assert metadata["Requires-Python"] == ">=3.11"
    assert [extra for extra in metadata.get_all("Requires-Dist", []) if "gfal2" in extra] == ["gfal2-python; extra == 'gfal2'"]
    assert "qostui = qostui.cli:main" in wheel.read(f"{about}/entry_points.txt").decode()
