"""A run on a Ray cluster whose two nodes have networks of their own, as two machines have.

    sudo python benchmarks/cluster_namespaces.py     # Linux, as root: minutes

Two network namespaces of this machine are joined by a pair of virtual interfaces, and by nothing
else. The head and the program that sends the run are in one, the only node with a processor in the
other: all that passes between them goes over addresses that are not loopback. The disk is shared,
as on NFS. It says which node trained, and how much data that one fetched, for two runs; it exits 1
where a run does not finish there. Nothing is left of the namespaces.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import say  # noqa: E402
from workbench.own_python import own_python, python_path  # noqa: E402
from workbench.persistence import create_stores  # noqa: E402
from workbench.samples import create_shapes  # noqa: E402
from workbench.training.config import TrainingConfig  # noqa: E402
from workbench.training.events import DataFetched, Placed  # noqa: E402
from workbench.training.places.trial import OBJECT_STORE_BYTES, environment  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

HEAD, NODE = "wb-head", "wb-node"
ADDRESSES = {HEAD: "10.231.77.1", NODE: "10.231.77.2"}
DASHBOARD = f"http://{ADDRESSES[HEAD]}:8265"
SECONDS_TO_START = 180


def join_namespaces(stack: ExitStack) -> None:
    """Make the two namespaces and what joins them; they go with the stack."""
    for name in (HEAD, NODE):
        ip("netns", "add", name)
        stack.callback(ip, "netns", "delete", name)
    ip("link", "add", HEAD, "type", "veth", "peer", "name", NODE)
    for name, address in ADDRESSES.items():
        ip("link", "set", name, "netns", name)
        ip("-n", name, "address", "add", f"{address}/24", "dev", name)
        for device in ("lo", name):
            ip("-n", name, "link", "set", device, "up")


def ip(*words: str) -> None:
    """Run ``ip`` with these words."""
    subprocess.run(("ip", *words), check=True)


def ray_start(stack: ExitStack, name: str, folder: Path, *words: str) -> None:
    """Start a node in a namespace; it ends with the stack."""
    host = folder / name
    settings = (
        environment()
        | python_path()
        | {
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",  # its own address, not loopback
            "no_proxy": f"localhost,127.0.0.1,{','.join(ADDRESSES.values())}",
            "XDG_CACHE_HOME": str(host),
        }
    )
    settings.pop("RAY_ADDRESS", None)
    command = (
        *("ip", "netns", "exec", name, *own_python(), "-m", "ray.scripts.scripts", "start"),
        *("--block", "--node-ip-address", ADDRESSES[name]),
        *("--object-store-memory", str(OBJECT_STORE_BYTES), *words),
    )
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, env=settings, stdout=log, stderr=log, start_new_session=True
        )
    stack.callback(end, process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a node with all its processes."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def send_runs(folder: Path) -> bool:
    """Send two runs; return whether both finished. This is in the head's namespace."""
    stores = create_stores(folder / "data", folder / "models")
    await create_shapes(stores, "shapes", num_images=24)
    runner = TrainingRunner(stores, folder / "runs")
    config = TrainingConfig(
        dataset="shapes", base_model="yolo11n.yaml", epochs=1, image_size=64, batch=8,
        workers=0, device="cpu",
    )  # fmt: skip
    finished = True
    for _ in range(2):
        began = time.monotonic()
        run = await runner.start(config, where=DASHBOARD)
        events = [event async for event in run.events()]
        nodes = [event.node for event in events if isinstance(event, Placed) and event.node]
        fetched = [event.bytes for event in events if isinstance(event, DataFetched)]
        progress = run.read_progress()
        seconds = time.monotonic() - began
        say(f"{progress.state} after {seconds:.0f} s on {nodes}, bytes fetched: {fetched}")
        say(progress.message or "no message")
        finished &= progress.state == "finished"
    return finished


def main() -> int:
    """Start the cluster, and send the runs from the head's namespace."""
    if sys.argv[1:2] == ["--inside"]:
        return 0 if asyncio.run(send_runs(Path(sys.argv[2]))) else 1
    # Sockets lie in it, whose paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="wbn-", dir="/tmp") as place, ExitStack() as stack:
        folder = Path(place)
        join_namespaces(stack)
        head = ("--head", "--port", "6379", "--num-cpus", "0", "--temp-dir", str(folder / "ray"))
        dashboard = ("--dashboard-host", ADDRESSES[HEAD], "--dashboard-port", "8265")
        ray_start(stack, HEAD, folder, *head, *dashboard)
        inside = ("ip", "netns", "exec", HEAD, *own_python())
        wait_for(f"{DASHBOARD}/api/version", inside)
        ray_start(stack, NODE, folder, "--address", f"{ADDRESSES[HEAD]}:6379", "--num-cpus", "1")
        found = subprocess.run(
            (*inside, str(Path(__file__).resolve()), "--inside", str(folder)),
            env=environment() | python_path() | {"no_proxy": "*", "NO_PROXY": "*"},
        )
        if found.returncode:
            for name in (HEAD, NODE):
                say((folder / f"{name}.log").read_text()[-2000:])
        return found.returncode


def wait_for(address: str, inside: tuple[str, ...]) -> None:
    """Wait until an address answers in the head's namespace."""
    ask = f"import urllib.request as u; u.build_opener(u.ProxyHandler({{}})).open('{address}')"
    limit = time.monotonic() + SECONDS_TO_START
    while subprocess.run((*inside, "-c", ask), stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > limit:
            raise TimeoutError(f"{address} does not answer")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
