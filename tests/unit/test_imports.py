"""Who may import whom (import contracts in pyproject.toml), and what starting costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

CHECKOUT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"
STANDARD_LIBRARY = sys.stdlib_module_names
INSIDE = "qostui.lake.inside"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("qostui", include_external_packages=True, cache_dir=None)


def lies_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_the_contracts_hold() -> None:
    checked = subprocess.run([LINT, "--no-logo", "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, qostui.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(started.stdout.split())
    assert "qostui" in loaded
    assert loaded & {"textual", "rich", "rucio", "requests", "urllib3", "keyring", "cryptography", "jwt"} == set()


def test_the_domain_is_standard_library_only(graph: grimp.ImportGraph) -> None:
    domain = {"qostui.domain", *graph.find_descendants("qostui.domain")}
    imported = {other for module in domain for other in graph.find_modules_directly_imported_by(module)}
    assert {name for name in imported - domain if name not in STANDARD_LIBRARY} == set()


def test_the_inside_of_the_lake_stands_alone(graph: grimp.ImportGraph) -> None:
    inside = {INSIDE, *graph.find_descendants(INSIDE)}
    outward = {
        (module, other)
        for module in inside
        for other in graph.find_modules_directly_imported_by(module)
        if lies_in(other, "qostui") and not lies_in(other, INSIDE)
    }
    assert outward == set()
