"""A Ray cluster of this machine, on loopback only: ``python -m tests.helpers.ray_cluster``.

It runs in a process of its own, so that nothing of Ray comes into the tests' process, and ends
with that process's input. Each line that it is given is a command: ``add`` adds a node of one
processor, ``kill`` kills the first one that was added, with all that runs on it, and ``behead``
kills the head and starts an empty one in its place. Each is answered by a line.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil

from workbench.training.places.trial import OBJECT_STORE_BYTES, environment, free_port
from workbench.training.places.trial_head import let_nodes_start_slowly

T = TypeVar("T")

_SECONDS_TO_END = 60
_SECONDS_TO_JOIN = 300


@dataclass
class RayCluster:
    """A cluster that was started by `ray_cluster`.

    Parameters
    ----------
    address : str
        Of its dashboard.
    process : Popen
        Whose children all of its processes are.
    folder : Path
        What Ray writes.
    """

    address: str
    process: subprocess.Popen[str]
    folder: Path

    def tell(self, command: str) -> None:
        """Give a command, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer = read_answer(self.process.stdout)
        assert answer == {"done": command}, answer

    def each(self, look: Callable[[psutil.Process], T], doing: str = "") -> list[T]:
        """Return what is seen of each of its processes whose command has these words."""
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # one that ends just now, or has
                if doing in " ".join(one.cmdline()):
                    found.append(look(one))
        return found


@contextmanager
def ray_cluster(cpus: int) -> Iterator[RayCluster]:
    """Start a cluster with one node of so many processors; end it with all its processes."""
    # Sockets lie in it, whose paths may have 107 bytes: pytest's folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="wbr-", dir="/tmp"))
    found = environment() | {
        "RAY_TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),  # its nodes have nothing yet
    }
    found.pop("RAY_ADDRESS", None)
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.ray_cluster", str(folder), str(cpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=found,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        answer = read_answer(process.stdout)
        if "address" not in answer:
            raise AssertionError((folder / "cluster.log").read_text())
        yield RayCluster(f"http://{answer['address']}", process, folder)
    finally:
        family = [process_of(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_SECONDS_TO_END)
        finally:
            for one in family:
                if one.is_running():
                    one.kill()
            if process.stdout is not None:
                process.stdout.close()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def process_of(pid: int) -> psutil.Process:
    """Return a process of this machine."""
    return psutil.Process(pid)


def read_answer(stream: IO[str]) -> dict[str, Any]:
    """Return the next line that is ours: Ray may print others."""
    for line in stream:
        if line.startswith("{"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    return {}


def ports() -> dict[str, int]:
    """Return the ports of a node, which else waits some seconds only to be told of them."""
    names = ("dashboard_agent_listen", "metrics_agent", "metrics_export", "runtime_env_agent")
    return {f"{name}_port": free_port() for name in names}


class Nodes:
    """The nodes of a cluster, each of them some processes of this machine.

    Parameters
    ----------
    folder : Path
        What Ray writes.
    cpus : int
        Processors of the head.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        from ray.cluster_utils import Cluster

        temp = folder / "ray"  # Ray writes a file into it without making it
        temp.mkdir()
        self.port = free_port()
        self._shared = {
            "node_ip_address": "127.0.0.1",
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_log_monitor": False,
        }
        self._head = {
            **self._shared,
            "num_cpus": cpus,
            "temp_dir": str(temp),
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "dashboard_port": self.port,
            "gcs_server_port": free_port(),
            **ports(),
        }
        self.cluster = Cluster()
        self._start(**self._head)
        self._added: list[Any] = []

    def add(self) -> None:
        """Add a node of one processor."""
        self._added.append(self._start(**self._shared, **ports(), num_cpus=1))

    def kill(self) -> None:
        """Kill the first node that was added, as a power cut does: all that runs on it is gone."""
        self._kill(self._added.pop(0))

    def behead(self) -> None:
        """Kill the head, and start one that knows nothing at the same address."""
        self._kill(self.cluster.head_node)
        self._start(**self._head | ports())

    def _start(self, **options: Any) -> Any:
        """Start a node, and wait until it has joined: where others keep all processors busy, that
        takes longer than the half minute after which Ray gives up."""
        node = self.cluster.add_node(wait=False, **options)
        services = import_module("ray._private.services")
        services.wait_for_node(node.gcs_address, node.plasma_store_socket_name, _SECONDS_TO_JOIN)
        return node

    def _kill(self, node: Any) -> None:
        started = [one.process.pid for kind in node.all_processes.values() for one in kind]
        family = [
            child for pid in started for child in psutil.Process(pid).children(recursive=True)
        ]
        self.cluster.remove_node(node, allow_graceful=False)
        for one in family:
            if one.is_running():
                one.kill()


def main(folder: str, cpus: int) -> None:
    """Run the cluster until the input ends."""
    let_nodes_start_slowly()
    nodes = Nodes(Path(folder), cpus)
    commands = {"add": nodes.add, "kill": nodes.kill, "behead": nodes.behead}
    print(json.dumps({"address": f"127.0.0.1:{nodes.port}"}), flush=True)
    for line in sys.stdin:
        commands[line.strip()]()
        print(json.dumps({"done": line.strip()}), flush=True)
    nodes.cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
