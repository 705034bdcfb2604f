"""A Ray cluster: a run is a job of it, and a process of this machine follows that job.

1. `RayPlace.start` starts the *keeper* (`workbench.training.places.keeper`), a child process
   that outlives this one.
2. The keeper submits a job with the code of this very package. On the node that the cluster
   chooses, the job (`workbench.training.places.node`) looks whether versions fit, and becomes
   the same worker as on any machine. It trains in the run's folder, which the nodes share with
   this machine: events, log, weights and requests are where they always are.
3. Should the node be lost, the keeper submits another job, which goes on from the checkpoint.
4. Should the keeper be lost, nothing happens to the job, and whoever next looks at the run
   starts another keeper, which finds in the run's folder what the cluster calls the job.

Only the keeper speaks to the cluster; a panel reads the run's folder and no more. It speaks to
none that nobody on this machine has named: a run's folder may come from anywhere.
"""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence.cluster_consent import is_own_cluster, note_own_cluster
from workbench.persistence.models import DatasetInfo
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.training.config import BaseModel, TrainingConfig
from workbench.training.machine_checks import check_disk, scale_of
from workbench.training.places.jobs import INSTALL, quiet
from workbench.training.places.local import record_of
from workbench.training.places.versions import ask_a_node, mismatch, versions_here
from workbench.training.problems import ERROR, WARNING, Problem
from workbench.training.processes import spawn_module
from workbench.training.telling import has_ended

_log = logging.getLogger(__name__)

RAY = "ray"
"""Stands for the cluster that the environment variable names."""
VARIABLE = "RAY_ADDRESS"

_JOBS_PORT = 8265
_SECONDS_FOR_ANSWER = 5.0
_SECONDS_TO_END = 60.0
_SECONDS_BETWEEN_LOOKS = 2.0
_UNANSWERED = 3
_NO_ANSWER = (OSError, ValueError, LookupError, TypeError)
# Longer than a keeper on another machine ever takes to say again that it is alive.
_SECONDS_OF_SILENCE = 60.0
_SECONDS_THAT_IT_FITS = 600.0
_POLL_SECONDS = 0.1
_fitted: dict[tuple[str, float, float], float] = {}
_KEEPER = "workbench.training.places.keeper"
_OTHERS = (VARIABLE, "RAY_API_SERVER_ADDRESS")  # Ray would take them for the address that we give
_EXPECTED = (
    "where: expected 'local', 'ray' (the cluster that RAY_ADDRESS names), or the address of a "
    "cluster such as 'http://head:8265', with ?cpus=4&gpus=1 for more than one processor"
)


@dataclass(frozen=True, slots=True)
class RayPlace:
    """A Ray cluster; see `workbench.training.places.base.Place`.

    Parameters
    ----------
    url : str
        Of the cluster's dashboard, which takes the jobs.
    cpus : float
        Processors that a run gets.
    gpus : float or None
        GPUs that a run gets; None: as many as its device names.
    """

    url: str
    cpus: float = 1.0
    gpus: float | None = None

    @classmethod
    def at(cls, where: str) -> RayPlace:
        """Return the place of an address; see `workbench.training.places.place_at`.

        Raises
        ------
        InvalidConfigError
            If it is none.
        """
        text = os.environ.get(VARIABLE, "").strip() if where == RAY else where
        if not text:
            raise InvalidConfigError(f"{_EXPECTED}; {VARIABLE} is not set")
        try:
            parts = urlsplit(text if "://" in text else f"ray://{text}")
            host, port = parts.hostname, parts.port
            amounts = {name: float(value) for name, value in parse_qsl(parts.query)}
        except ValueError as error:
            raise InvalidConfigError(f"{_EXPECTED}; found {text!r} ({error})") from error
        scheme = {"ray": "http", "http": "http", "https": "https"}.get(parts.scheme)
        if scheme is None or not host or parts.username or not amounts.keys() <= {"cpus", "gpus"}:
            raise InvalidConfigError(f"{_EXPECTED}; found {text!r}")
        if any(not 0 <= amount < float("inf") for amount in amounts.values()):
            raise InvalidConfigError(f"{_EXPECTED}; found {text!r}")
        if parts.scheme == "ray" or port is None:
            port = _JOBS_PORT  # the other ports of a cluster take no jobs
        shown = f"[{host}]" if ":" in host else host
        return cls(f"{scheme}://{shown}:{port}", amounts.get("cpus", 1.0), amounts.get("gpus"))

    @property
    def address(self) -> str:
        """The address in the form in which `at` takes it again."""
        gpus = "" if self.gpus is None else f"&gpus={self.gpus:g}"
        return f"{self.url}?cpus={self.cpus:g}{gpus}"

    @property
    def hands_over(self) -> bool:
        """True: the cluster has its own queue."""
        return True

    def gpus_for(self, config: TrainingConfig) -> float:
        """Return the number of GPUs that a run is to have."""
        if self.gpus is not None:
            return self.gpus
        device = config.device.replace("cuda:", "").replace("cuda", "0").strip("[]() ")
        return float(sum(part.strip().isdigit() for part in device.split(",")))

    def name_as_own(self) -> None:
        """Note that somebody on this machine has named the cluster."""
        note_own_cluster(self.url)

    def check(
        self, info: DatasetInfo, config: TrainingConfig, base: BaseModel, runs_dir: Path
    ) -> list[Problem]:
        """Return what speaks against a run there: no cluster, other versions, too little disk."""
        found = self.check_cluster()
        if not any(problem.severity == ERROR for problem in found):
            found += self._check_versions(config)
        return [*found, *check_disk(config, scale_of(base.label), runs_dir)]

    def check_cluster(self) -> list[Problem]:
        """Return what speaks against anything there: no Ray here, no cluster, another release."""
        if find_spec("ray") is None:
            text = "a run on a cluster needs Ray, which is not installed here"
            return [Problem(ERROR, text, INSTALL)]
        try:
            there = self._version()
        except _NO_ANSWER as error:
            text = f"no Ray cluster answers at {self.url} ({_said(error)})"
            remedy = "start one with `ray start --head`, or forward its port 8265 to this machine"
            return [Problem(ERROR, text, remedy)]
        here = metadata.version("ray")
        if there == here:
            return []
        text = f"the cluster has Ray {there}, and this machine {here}"
        return [Problem(WARNING, text, f"if a run fails to start, pip install ray=={there} here")]

    def devices(self, config: TrainingConfig) -> frozenset[str]:
        """Return no device: those of the cluster are for the cluster to give out."""
        return frozenset()

    def start(self, folder: RunFolder) -> None:
        """Start a keeper that sends the run to the cluster."""
        if not self._is_own():
            raise TrainingError(self._not_own(folder))
        folder.remove_task()
        self._spawn(folder)

    def is_lost(self, folder: RunFolder) -> bool:
        """Return False: the keeper says it, or whoever starts it again."""
        return False

    def tend(self, folder: RunFolder) -> None:
        """Start a keeper if the run has lost its own."""
        if _is_kept(folder):
            return
        if not self._is_own():
            _log.warning("%s", self._not_own(folder))
            return
        with RunQueue(folder.runs_dir).lock():
            if folder.read_queued() is None and not has_ended(folder) and not _is_kept(folder):
                self._spawn(folder)

    def end(self, folder: RunFolder) -> bool:
        """Let the keeper end the run's job, and wait until it is gone.

        Where the cluster does not answer, or is slow to, the keeper ends it once it can; it is
        started again by whoever looks at the run, as ever.
        """
        if not self._is_own():
            raise TrainingError(self._not_own(folder))
        folder.request_cancel()
        self.tend(folder)
        limit = time.monotonic() + _SECONDS_TO_END
        next_look, unanswered = 0.0, 0
        while not has_ended(folder):
            if time.monotonic() > next_look:
                unanswered = 0 if self._answers() else unanswered + 1
                next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            # Once is no sign: a head that is busy may be late, too.
            if unanswered >= _UNANSWERED or time.monotonic() > limit:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _version(self) -> str:
        """Return the cluster's release of Ray, or raise one of `_NO_ANSWER`."""
        url = f"{self.url}/api/version"
        with urllib.request.urlopen(url, timeout=_SECONDS_FOR_ANSWER) as answer:
            return str(json.load(answer)["ray_version"])

    def _answers(self) -> bool:
        try:
            self._version()
        except _NO_ANSWER:
            return False
        return True

    def _check_versions(self, config: TrainingConfig) -> list[Problem]:
        """Ask a node for its versions; where none answers, the run's own node looks later."""
        key = self.url, self.cpus, self.gpus_for(config)
        # What has fitted a moment ago is not asked again: a check comes right before a start.
        if time.monotonic() - _fitted.get(key, -_SECONDS_THAT_IT_FITS) < _SECONDS_THAT_IT_FITS:
            return []
        answer = ask_a_node(*key)
        if answer is None:
            return []
        wanted = {name: one for name, one in versions_here().items() if name != "workbench"}
        host, found = answer  # the code of Workbench travels with the run
        wrong = mismatch(wanted, found, host)
        if wrong is None:
            _fitted[key] = time.monotonic()
            return []
        return [Problem(ERROR, *wrong)]

    def _is_own(self) -> bool:
        if is_own_cluster(self.url):
            return True
        named = os.environ.get(VARIABLE, "").strip()
        return bool(named) and RayPlace.at(named).url == self.url

    def _not_own(self, folder: RunFolder) -> str:
        return (
            f"training run {folder.id} is on the cluster {self.url}, to which nobody on this "
            f"machine has sent anything: if it is yours, set {VARIABLE}={self.url}"
        )

    def _spawn(self, folder: RunFolder) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _OTHERS}
        child = spawn_module(_KEEPER, folder, environment | quiet())
        folder.write_keeper(record_of(child.pid))


def _said(error: Exception) -> str:
    """Return why there is no answer, without the system's number of it."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(reason, "strerror", None) or reason)


def _is_kept(folder: RunFolder) -> bool:
    found = folder.read_keeper()
    if found is None:
        return False
    record, said_at = found
    if record.is_here():
        return record.find() is not None
    return time.time() - said_at < _SECONDS_OF_SILENCE
