"""Fills a running lake: accounts, identities, RSEs, quotas, data with real bytes, rules in every state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import rucio_config, topology
from .seed_data import DATASETS, LOST_FILES, RULES, Dataset, reaches
from .seed_files import hashed_path, make, names
from .state import Facts, State, issuer, rse_prefix, url

Say = Callable[[str], None]
_RULES_LIMIT = 600.0
"""Seconds for all rules to reach their states: minutes on a busy machine, where GridFTP sessions start slowly."""
_UNLIMITED = 10**15


def fill(state: State, facts: Facts, say: Say, *, empty: bool = False) -> None:
    """Seed the lake; raises RuntimeError when a rule does not end in the state its entry names.

    An `empty` lake gets people and RSEs only.
    """
    client = _client(state, facts)
    say("accounts and RSEs")
    _accounts(client, state, facts)
    _rses(client, state, facts)
    if not empty:
        say("files")
        _datasets(client, state)
        say("rules")
        _rules(client, state, facts, say)
    _usage(client, state)


def _client(state: State, facts: Facts) -> Any:
    os.environ["RUCIO_CONFIG"] = str(state.client / "etc" / "rucio.cfg")
    os.environ["RUCIO_CLIENT_MODE"] = "1"
    from rucio.client import Client

    return Client(
        rucio_host=url(facts, "rucio"),
        auth_host=url(facts, "rucio"),
        account="root",
        ca_cert=str(state.ca),
        auth_type="userpass",
        creds={"username": "root", "password": rucio_config.password(state, "root")},
    )


def _accounts(client: Any, state: State, facts: Facts) -> None:
    for account in topology.ACCOUNTS:
        if account.name != "root":
            client.add_account(account.name, account.kind, f"{account.name}@localhost")
        if account.admin and account.name != "root":
            client.add_account_attribute(account.name, "admin", "True")
        if account.userpass and account.name != "root":
            client.add_identity(
                account.name, account.name, "USERPASS", f"{account.name}@localhost", password=rucio_config.password(state, account.name)
            )
    for person in topology.PEOPLE:
        for place, name in enumerate(person.accounts):
            client.add_identity(name, topology.distinguished_name(person.name), "X509", f"{person.name}@localhost", default=place == 0)
        if person.token_account:
            client.add_identity(
                person.token_account, f"SUB={person.name}, ISS={issuer(facts)}", "OIDC", f"{person.name}@localhost", default=True
            )
    for scope, owner in topology.SCOPES:
        client.add_scope(owner, scope)


def _rses(client: Any, state: State, facts: Facts) -> None:
    for rse in topology.RSES:
        client.add_rse(rse.name, rse_type="TAPE" if rse.tape else "DISK", country_name=rse.country, city=rse.site)
        attributes = {
            "fts": url(facts, "fts"),
            "site": rse.site,
            "country": rse.country,
            "lfn2pfn_algorithm": "hash",
            "verify_checksum": "True",
            "source_for_used_space": "rucio",
            "source_for_total_space": "storage",
            **({"QOS": rse.qos} if rse.qos else {}),
            **dict(rse.attributes),
        }
        for priority, (scheme, server_name) in enumerate(rse.doors, start=1):
            port = facts.ports[topology.server(server_name).port_name(scheme)]
            prefix = rse_prefix(state, rse, scheme)
            if scheme == "roots":  # no scheme of Rucio's: the door is kept as an attribute
                attributes["door_roots"] = f"roots://{topology.HOST}:{port}{prefix}"
                continue
            every = {"read": priority, "write": priority, "delete": priority}
            client.add_protocol(
                rse.name,
                {
                    "scheme": scheme,
                    "hostname": topology.HOST,
                    "port": port,
                    "prefix": prefix,
                    "impl": "rucio.rse.protocols.gfal.Default",
                    "domains": {"lan": every, "wan": {**every, "third_party_copy_read": priority, "third_party_copy_write": priority}},
                },
            )
        for key, value in attributes.items():
            client.add_rse_attribute(rse.name, key, value)
        client.set_rse_limits(rse.name, "MinFreeSpace", rse.capacity // 20)
        for account in topology.ACCOUNTS:
            client.set_local_account_limit(account.name, rse.name, _UNLIMITED if account.admin else rse.capacity)
    for source in topology.RSES:
        for destination in topology.RSES:
            if source is not destination:
                client.add_distance(source.name, destination.name, {"distance": 1 if source.country == destination.country else 2})


def _datasets(client: Any, state: State) -> None:
    containers: set[str] = set()
    for dataset in DATASETS:
        rse = topology.rse(dataset.home)
        files = [_register_form(dataset, name, state) for name in names(dataset)]
        client.add_replicas(rse.name, files)
        client.add_dataset(dataset.scope, dataset.name, meta={"project": dataset.scope.split(".")[0]})
        client.attach_dids(dataset.scope, dataset.name, [{"scope": each["scope"], "name": each["name"]} for each in files])
        client.close(dataset.scope, dataset.name)  # Rucio gives size and length of a closed dataset only
        if dataset.container:
            scope, name = dataset.container.split(":")
            if dataset.container not in containers:
                client.add_container(scope, name)
                containers.add(dataset.container)
            client.attach_dids(scope, name, [{"scope": dataset.scope, "name": dataset.name}])


def _register_form(dataset: Dataset, name: str, state: State) -> dict[str, Any]:
    """Write one file onto its storage and give the form `add_replicas` wants."""
    made = make(dataset, name, _place(dataset, name, state))
    return {"scope": made.scope, "name": made.name, "bytes": made.size, "adler32": made.adler32, "md5": made.md5}


def _place(dataset: Dataset, name: str, state: State) -> Path:
    rse = topology.rse(dataset.home)
    server = topology.server(rse.doors[0][1])
    return state.data(server) / rse.prefix.lstrip("/") / hashed_path(dataset.scope, name)


def _rules(client: Any, state: State, facts: Facts, say: Say) -> None:
    lost = next(dataset for dataset in DATASETS if dataset.name == "lost.on.disk")
    for name in list(names(lost))[:LOST_FILES]:
        _place(lost, name, state).unlink()
    wanted: dict[str, tuple[str, str]] = {}
    for rule in RULES:
        scope, name = rule.did.split(":")
        (made,) = client.add_replication_rule(
            [{"scope": scope, "name": name}],
            rule.copies,
            rule.expression,
            account=rule.account,
            activity=rule.activity,
            comment=rule.comment,
            ask_approval=rule.ask_approval,
            priority=rule.priority,
            source_replica_expression=rule.source,
        )
        if rule.suspend:
            client.update_replication_rule(made, {"state": "suspended", "cancel_requests": True})
        wanted[made] = (f"{rule.did} -> {rule.expression}", reaches(rule, facts.rucio))
    _await_rules(client, wanted, say)


def _await_rules(client: Any, wanted: dict[str, tuple[str, str]], say: Say) -> None:
    deadline = time.monotonic() + _RULES_LIMIT
    told = 0
    while True:
        states = {rule: client.get_replication_rule(rule)["state"] for rule in wanted}
        reached = sum(states[rule] == state for rule, (_, state) in wanted.items())
        if reached > told:
            told = reached
            say(f"{reached} of {len(wanted)} rules are as they should be")
        if reached == len(wanted):
            return
        if time.monotonic() > deadline:
            late = [f"{what} is {states[rule]}, not {state}" for rule, (what, state) in wanted.items() if states[rule] != state]
            raise RuntimeError("rules did not settle: " + "; ".join(late))
        time.sleep(1.0)


def _usage(client: Any, state: State) -> None:
    """What a site would report of its space: the real bytes on disk against the capacity it claims."""
    for rse in topology.RSES:
        server = topology.server(rse.doors[0][1])
        base = state.data(server) / rse.prefix.lstrip("/")
        used = sum(path.stat().st_size for path in base.rglob("*") if path.is_file())
        client.set_rse_usage(rse.name, "storage", used, rse.capacity - used)
