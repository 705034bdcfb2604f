"""What a run on a cluster of this machine says to the network, seen by the kernel: nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.helpers.training import TINY, make_shapes
from workbench.persistence import create_stores
from workbench.training.config import TrainingConfig
from workbench.training.places.trial import TrialCluster
from workbench.training.runner import TrainingRunner

async def main(folder):
    stores = create_stores(folder / "data", folder / "models")
    await make_shapes(stores)
    with TrialCluster() as cluster:
        runner = TrainingRunner(stores, folder / "runs")
        run = await runner.start(TrainingConfig(**TINY, epochs=1), where=cluster.address)
        print((await run.wait()).state)

asyncio.run(main(Path(sys.argv[1])))
"""
CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.[\d.]+|::1|::ffff:127\.[\d.]+")

# Minutes on two cores: each call of each process is looked at.
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


def spoken_to(log: Path) -> set[str]:
    """Return the addresses outside this machine that anything was sent to, or connected with.

    A datagram socket that is connected says nothing by that: Ray asks so for its own address.
    """
    found = set()
    for line in log.read_text(errors="replace").splitlines():
        if "connect(" in line and "<UDP" in line:
            continue
        found |= {one or other for one, other in ADDRESS.findall(line)}
    return {address for address in found if not LOOPBACK.fullmatch(address)}


def test_the_addresses_are_read_as_strace_writes_them(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    log.write_text(
        "7 connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), "
        'sin_addr=inet_addr("203.0.113.7")}, 16) = 0\n'
        "7 connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), "
        'sin_addr=inet_addr("127.0.0.1")}, 16) = 0\n'
        "7 connect(5<UDP:[1]>, {sa_family=AF_INET, sin_port=htons(80), "
        'sin_addr=inet_addr("8.8.8.8")}, 16) = 0\n'
        '7 sendto(5<UDPv6:[1]>, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), '
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}, 28) = 1\n'
    )
    assert spoken_to(log) == {"203.0.113.7", "2001:db8::1"}


def test_a_run_on_a_cluster_of_this_machine_leaves_it_by_no_way(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    watch = ["strace", "-f", "-qq", "-yy", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(log)]
    ended = subprocess.run(
        [*watch, sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.endswith("finished\n"), ended.stderr
    assert "127.0.0.1" in log.read_text(errors="replace")
    assert spoken_to(log) == set()
