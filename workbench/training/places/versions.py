"""Whether the nodes of a cluster have the versions of this machine, asked before a run is sent."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Mapping
from importlib import metadata

import workbench
from workbench.errors import TrainingError
from workbench.training.places.jobs import SUCCEEDED, ClusterJobs, quiet

CHECKED = ("ultralytics", "torch")
"""Packages that must be the same on the nodes as here."""
_SECONDS_FOR_ANSWER = 20.0
_POLL_SECONDS = 0.3
_CODE = "WORKBENCH_LOOK"  # a variable, so that no shell has to be spoken to in quotes
_MARK = "workbench-versions "
# For a Python that has nothing of ours.
_ASK = f"""
import json, socket, sys
from importlib import metadata
found = {{"python": f"{{sys.version_info[0]}}.{{sys.version_info[1]}}"}}
for name in {CHECKED!r}:
    try:
        found[name] = metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        pass
print({_MARK!r} + json.dumps([socket.gethostname(), found]))
"""


def versions_here() -> dict[str, str]:
    """Return the versions that decide whether two machines train alike."""
    found = {name: metadata.version(name).partition("+")[0] for name in CHECKED}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, "workbench": workbench.__version__, **found}


def mismatch(
    wanted: Mapping[str, str], found: Mapping[str, str], host: str
) -> tuple[str, str] | None:
    """Return what is wrong with the versions of a node, and the remedy; None if nothing is."""
    wrong = [name for name in wanted if found.get(name) != wanted[name]]
    if not wrong:
        return None
    listed = ", ".join(
        f"{name} {found.get(name, '(none)')} instead of {wanted[name]}" for name in wrong
    )
    packages = [f"{name}=={wanted[name]}" for name in wrong if name not in {"python", "workbench"}]
    remedy = f"`pip install {' '.join(packages)}` there" if packages else "install the same there"
    return f"the node {host} has {listed}", f"{remedy}, or train with the versions that it has"


def ask_a_node(url: str, cpus: float, gpus: float) -> tuple[str, dict[str, str]] | None:
    """Return the name and the versions of a node on which a run of this size would come.

    Parameters
    ----------
    url : str
        Of the cluster's dashboard.
    cpus, gpus : float
        What the run is to have.

    Returns
    -------
    str, dict of str to str
        None if no node was free for it at once, or its Python says nothing.
    """
    jobs, job_id = ClusterJobs(url), f"workbench-look-{uuid.uuid4().hex[:12]}"
    try:
        jobs.submit(
            job_id,
            f'python -c "${_CODE}"',
            modules=(),
            environment={**quiet(), _CODE: _ASK},
            metadata={"workbench": "looks at versions"},
            cpus=cpus,
            gpus=gpus,
        )
        limit = time.monotonic() + _SECONDS_FOR_ANSWER
        while time.monotonic() < limit:
            state = jobs.state(job_id)
            if state is not None and state.is_over:
                return _read(jobs.last_words(job_id)) if state.status == SUCCEEDED else None
            time.sleep(_POLL_SECONDS)
        jobs.stop(job_id)
    except TrainingError:
        return None  # it is asked again, and said, when the run is sent
    return None


def _read(words: str) -> tuple[str, dict[str, str]] | None:
    _, mark, said = words.rpartition(_MARK)
    if not mark:
        return None
    host, found = json.loads(said)
    return str(host), {str(name): str(version) for name, version in found.items()}
