"""A run in a placement group of Ray: `python with_ray.py -n 2 -s 1 -- python train.py`.

Each bundle of the group is one process. Server 0 is in bundle 0, and all meet at that bundle's
machine. To stay on one machine, `--address 127.0.0.2` starts Ray there: it takes 127.0.0.1 for the
address of the network card. A cluster that runs already is found by RAY_ADDRESS.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actorflow.kvstore import launch
from actorflow.kvstore.environment import write


def address() -> tuple[str, int]:
    """Where this machine is, and a port that is free there."""
    here = ray.util.get_node_ip_address()
    return here, launch.free_port(here)


def run_rank(words: list[str], variables: dict[str, str]) -> int:
    """Be one process of the run; its lines go to Ray, which shows them."""
    return subprocess.run(words, env={**os.environ, **variables}, check=False).returncode  # noqa: S603


def main() -> int:
    """Start a run, and return the exit status of the first process that failed, or 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--num-workers", type=int, default=2)
    parser.add_argument("-s", "--num-servers", type=int, default=1)
    parser.add_argument("--address", help="the address of a Ray that is started here")
    parser.add_argument("--server-command", default=shlex.join(launch.SERVE))
    parser.add_argument("command", nargs="+")
    parsed = parser.parse_args()
    run = launch.Run(
        command=tuple(parsed.command),
        num_workers=parsed.num_workers,
        num_servers=parsed.num_servers,
        environ={},
    )
    if parsed.address:
        ray.init(num_cpus=run.size, _node_ip_address=parsed.address, include_dashboard=False)
    else:
        ray.init()
    group = placement_group([{"CPU": 1}] * run.size, strategy="PACK")
    ray.get(group.ready())

    def within(function: object, bundle: int) -> object:
        strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle)
        return ray.remote(function).options(num_cpus=1, max_retries=0, scheduling_strategy=strategy)

    uri, port = ray.get(within(address, 0).remote())
    words = [sys.executable, "-m", "actorflow", "launch-rank"]
    words += ["--server-command", parsed.server_command, "--", *run.command]
    waiting = [
        within(run_rank, bundle).remote(words, write(place))
        for bundle, place in enumerate(run.places(uri, port))
    ]
    while waiting:
        done, waiting = ray.wait(waiting)
        status = ray.get(done[0])
        if status:
            return status  # leaving ends the tasks of this program, and so the other processes
    return 0


if __name__ == "__main__":
    sys.exit(main())
