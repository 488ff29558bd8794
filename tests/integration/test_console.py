"""The console on the real lake: what others do in Rucio is seen by itself, and a broken listing removes nothing."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qostui import config
from qostui.adapters import backend
from qostui.lake.inside import topology
from qostui.lake.inside.seed_data import DATASETS
from qostui.lake.inside.seed_files import hashed_path, names
from qostui.services import session
from qostui.ui.console import QostuiApp
from tests import lakes

_SMALL = next(each for each in DATASETS if each.did == "testing:gridftp.parents")
_DESTINATION = topology.rse("IN2P3-QOS-CHEAP")


@pytest.fixture
def profiles(lake: lakes.Lake, tmp_path: Path) -> config.Settings:
    """The lake's profiles, as `make demo` writes them."""
    file = tmp_path / "config.toml"
    lake.command("profiles", "--file", str(file))
    return config.load(file, env={})


@asynccontextmanager
async def console(settings: config.Settings, profile: str, pane: str) -> AsyncIterator[QostuiApp]:
    """The application on a terminal of 140x45, with one pane open."""
    session.wire(backend.connect)
    app = QostuiApp(settings, profile, lambda chosen: session.open_session(chosen, settings))
    async with app.run_test(size=(140, 45)):
        app.show_pane(pane)
        yield app
        if app.session is not None:
            app.session.close()


async def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Let the console live until `condition` is true; fails with `what` was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def line(app: QostuiApp, key: str) -> str:
    """The text of a row as the table paints it; empty when it is not there."""
    assert app.pane is not None
    return app.pane.table.plain(key) if key in app.pane.table.model.rows else ""


def added(client: Any, dataset: str, rse: str) -> str:
    scope, name = dataset.split(":")
    (rule,) = client.add_replication_rule([{"scope": scope, "name": name}], 1, rse, account="alice")
    return str(rule)


@pytest.fixture
def removing(lake: lakes.Lake) -> Iterator[Callable[[str], None]]:
    """Rules to be deleted with their replicas after the test."""
    made: list[str] = []
    yield made.append
    client = lake.client()
    for rule in made:
        client.update_replication_rule(rule, {"lifetime": -10, "purge_replicas": True})


async def test_a_rule_of_somebody_else_goes_to_ok_before_ones_eyes(
    lake: lakes.Lake, profiles: config.Settings, removing: Callable[[str], None]
) -> None:
    async with console(profiles, "lake-operator", "rules") as app:
        await until(lambda: app.pane and len(app.pane.table.model.rows) >= 25, 20, "the seeded rules")
        rule = await asyncio.to_thread(added, lake.client(), _SMALL.did, _DESTINATION.name)
        removing(rule)
        started = time.monotonic()
        await until(lambda: "REPLICATING" in line(app, rule), 15, "the new rule to be seen replicating")
        await until(lambda: "OK" in line(app, rule), 60, "the rule to become OK by itself")
        print(f"from the rule's birth to OK on the screen: {time.monotonic() - started:.1f} s")
    server = topology.server(dict(_DESTINATION.doors)["davs"])
    source = topology.rse(_SMALL.home)
    for name in names(_SMALL):
        place = hashed_path(_SMALL.scope, name)
        copy = (lake.state.data(server) / _DESTINATION.prefix.lstrip("/") / place).read_bytes()
        original = (lake.state.data(topology.server(source.doors[0][1])) / source.prefix.lstrip("/") / place).read_bytes()
        assert zlib.adler32(copy) == zlib.adler32(original)
        assert len(copy) == len(original) > 0


async def test_ten_rules_deleted_behind_its_back_disappear(lake: lakes.Lake, profiles: config.Settings) -> None:
    client = lake.client()
    disks = {rse.name for rse in topology.RSES if not rse.tape}  # Rucio locks rules that touch tape
    rules = [added(client, dataset.did, dataset.home) for dataset in DATASETS if dataset.home in disks][:10]
    assert len(rules) == 10
    async with console(profiles, "lake-operator", "rules") as app:
        await until(lambda: all(line(app, rule) for rule in rules), 20, "ten more rules")
        for rule in rules:
            await asyncio.to_thread(client.update_replication_rule, rule, {"lifetime": -10})
        await until(lambda: not any(line(app, rule) for rule in rules), 60, "the ten rules to go")
        assert app.pane is not None
        assert len(app.pane.table.model.rows) >= 20


@pytest.mark.parametrize("profile", ["lake-operator", "lake-proxy", "lake-token", "lake-user"])
async def test_every_identity_sees_its_panes(profiles: config.Settings, profile: str) -> None:
    async with console(profiles, profile, "rses") as app:
        await until(lambda: app.pane and len(app.pane.table.model.rows) == len(topology.RSES), 40, "the RSEs")
        app.show_pane("credentials")
        await until(lambda: app.pane and len(app.pane.table.model.rows) >= 1, 20, "the credentials")
        app.show_pane("requests")
        if profile == "lake-user":
            problem = await until(lambda: app.session and app.session.feed("requests").status.problem, 20, "the refusal")
            assert problem.category == "denied"
        else:
            await until(lambda: app.pane and len(app.pane.table.model.rows) >= 1, 40, "requests")


async def test_switching_carries_nothing_over(profiles: config.Settings) -> None:
    async with console(profiles, "lake-operator", "credentials") as app:
        await until(lambda: app.pane and "ops" in " ".join(map(app.pane.table.plain, app.pane.table.model.rows)), 20, "the operator")
        first = app.session
        app.open_profile("lake-token")
        assert app.session is not first
        assert app.session is not None
        assert app.session.identity().account == "alice"
        await until(lambda: app.pane and len(app.pane.table.model.rows) >= 2, 20, "the token's rows")
        assert app.pane is not None
        shown = " ".join(map(app.pane.table.plain, app.pane.table.model.rows))
        assert "Pass word" not in shown
        assert "alice" in shown
