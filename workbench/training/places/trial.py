"""A Ray cluster of this machine alone, for a while, to try what a cluster does.

It listens on loopback only, reports to nobody, and ends with the process that has started it, also
where that is killed.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from workbench.errors import SetupError, TrainingError
from workbench.own_python import own_python, python_path
from workbench.training.places.jobs import INSTALL, quiet
from workbench.training.processes import kill_tree, own_session

_NOWHERE = "http://127.0.0.1:9"
SETTINGS: Final = {
    **quiet(),
    # Even so, its dashboard reports once that it reports nothing, and asks at the addresses where
    # clouds tell machines about themselves. Port 9 of this machine refuses at once.
    "RAY_USAGE_STATS_REPORT_URL": _NOWHERE,
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1"),
    # Ray takes 127.0.0.1 for a mistake and listens on the machine's own address instead, except
    # where it is told that there are no clusters.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Where others keep all processors busy.
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "180",
    "RAY_agent_register_timeout_ms": "180000",
    "RAY_worker_register_timeout_seconds": "180",
    "RAY_worker_niceness": "0",  # else what looks at pictures has what all others leave
}
"""The environment of a cluster that is of this machine alone."""
OBJECT_STORE_BYTES: Final = 100_000_000

_SECONDS_TO_START = 480.0
_POLL_SECONDS = 0.2


class TrialCluster:
    """A cluster of one node on this machine; a context manager that ends it.

    Parameters
    ----------
    cpus : int
        Processors that it gives out, however many this machine has.

    Raises
    ------
    SetupError
        If Ray is not installed.
    TrainingError
        If it does not start.
    """

    def __init__(self, cpus: int = 1) -> None:
        if find_spec("ray") is None:
            raise SetupError(f"a cluster needs Ray, which is not installed here: {INSTALL}")
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            _command(cpus, port),
            env={**environment(), **python_path(), "RAY_ADDRESS": ""},
            stdin=subprocess.PIPE,  # see `trial_head`
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **own_session(),
        )
        atexit.register(self.stop)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> TrialCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<TrialCluster at {self.address}>"

    def stop(self) -> None:
        """End it with all that runs on it."""
        atexit.unregister(self.stop)
        kill_tree(None, self._process)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _wait(self) -> None:
        """Wait until it takes jobs."""
        limit = time.monotonic() + _SECONDS_TO_START
        while not self._is_up():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > limit:
                reason = "it took too long" if ended is None else f"exit status {ended}"
                raise TrainingError(
                    f"Ray did not start on this machine ({reason}): where other programs keep all "
                    "processors busy its own come too late, so try again when they are done; else "
                    "`ray start --head --block` in a terminal says why"
                )
            time.sleep(_POLL_SECONDS)

    def _is_up(self) -> bool:
        """Whether its node has joined: the head answers long before that."""
        try:
            with urllib.request.urlopen(f"{self.address}/nodes?view=summary", timeout=5) as answer:
                nodes = json.load(answer)["data"]["summary"]
            return any(node["raylet"].get("state") == "ALIVE" for node in nodes)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False


def environment() -> dict[str, str]:
    """Return the environment of a process that starts a cluster of this machine."""
    python = str(Path(sys.executable).parent)
    path = os.pathsep.join((python, os.environ.get("PATH", "")))
    return {**os.environ, **SETTINGS, "PATH": path}


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _command(cpus: int, port: int) -> list[str]:
    options = {
        "node-ip-address": "127.0.0.1",
        "port": free_port(),
        "dashboard-host": "127.0.0.1",
        "dashboard-port": port,
        "dashboard-agent-listen-port": free_port(),
        "dashboard-agent-grpc-port": free_port(),
        "runtime-env-agent-port": free_port(),
        "metrics-export-port": free_port(),
        "ray-client-server-port": free_port(),
        "num-cpus": cpus,
        "object-store-memory": OBJECT_STORE_BYTES,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    return own_python("-m", "workbench.training.places.trial_head", *given)
