"""Prints, as JSON, the schemes Rucio will pick for a third-party copy between any two RSEs: read by test_scheme_matrix.py.

Runs in the lake's environment with the server's configuration. It asks what the conveyor's submitter asks: the path
search of rucio/core/topology.py, limited to the configured schemes that the transfer tool supports
(rucio/daemons/conveyor/submitter.py), for the operations and the domain of rucio/core/transfer.py.
"""

from __future__ import annotations

import json
import sys

from rucio.common.config import config_get, config_get_list
from rucio.core.rse import list_rses
from rucio.core.topology import Topology
from rucio.core.transfer import TRANSFERTOOL_CLASSES_BY_NAME


def main() -> None:
    configured = config_get_list("conveyor", "scheme")
    supported = TRANSFERTOOL_CLASSES_BY_NAME[config_get("conveyor", "transfertool")].supported_schemes
    schemes = [scheme for scheme in configured if scheme in supported]
    names = {each["id"]: each["rse"] for each in list_rses()}
    topology = Topology(rse_ids=names)
    chosen: dict[str, dict[str, list[str] | None]] = {name: {} for name in names.values()}
    for destination in names:
        sources = [topology[source] for source in names if source != destination]
        paths = topology.search_shortest_paths(
            src_nodes=sources,
            dst_node=topology[destination],
            operation_src="third_party_copy_read",
            operation_dest="third_party_copy_write",
            domain="wan",
            limit_dest_schemes=schemes,
        )
        for node, path in paths.items():
            assert len(path) <= 1, f"{names[node.id]} -> {names[destination]} takes {len(path)} hops"
            pair = [path[0]["source_scheme"], path[0]["dest_scheme"]] if path else None
            chosen[names[node.id]][names[destination]] = pair
    json.dump({"configured": configured, "schemes": schemes, "chosen": chosen}, sys.stdout)


main()
