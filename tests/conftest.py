"""Fixtures of the whole suite. What a test needs and does not find is a failure, never a skip."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests import canary, lakes

hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")  # a busy machine decides no test


def pytest_configure() -> None:
    """From the first test on, what is said is kept for the last one (test_last_no_secret.py)."""
    canary.EARS.append(canary.Ears())
    canary.EARS[0].watch()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for ears in canary.EARS:
        ears.hear_report(report)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back on the whole run goes to its end."""
    items.sort(key=lambda item: item.path.name == "test_last_no_secret.py")


def pytest_unconfigure() -> None:
    while canary.EARS:
        canary.EARS.pop().close()


@pytest.fixture(scope="session")
def lake() -> Iterator[lakes.Lake]:
    """A real lake of the suite's own, up for the whole run."""
    with lakes.lake_like(lakes.installed()) as made:
        yield made


@pytest.fixture(autouse=True)
def private_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the places of the person who runs it."""
    places = tmp_path_factory.mktemp("places")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        place = places / name.lower()
        place.mkdir(mode=0o700)
        monkeypatch.setenv(name, str(place))
