"""The jobs of a Ray cluster, in the few words that a keeper needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import SetupError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = "pip install 'yolo-workbench[ray]'"
PENDING, RUNNING, STOPPED = "PENDING", "RUNNING", "STOPPED"
SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
_REFUSED = "Request failed with status code"  # Ray's client, whose errors have no code to ask for
OVER = frozenset({STOPPED, SUCCEEDED, FAILED})


class ClusterUnreachableError(TrainingError):
    """The cluster does not answer, now."""


class ClusterTroubledError(ClusterUnreachableError):
    """The cluster answers that it cannot, now: one that has just begun has nobody for jobs yet."""


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands.

    Parameters
    ----------
    status : str
        ``"PENDING"``, ``"RUNNING"``, ``"STOPPED"``, ``"SUCCEEDED"`` or ``"FAILED"``.
    message : str
        What Ray says of it.
    exit_code : int or None
        Of its process; None if that was never started, or is not known.
    """

    status: str
    message: str = ""
    exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in OVER


class ClusterJobs:
    """The jobs of one cluster.

    Parameters
    ----------
    url : str
        Of its dashboard.

    Raises
    ------
    SetupError
        If Ray is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        try:
            self._ray: Any = import_module("ray.job_submission")
            self._requests: Any = import_module("requests")
        except ImportError as error:
            raise SetupError(f"a run on a cluster needs Ray ({error}): {INSTALL}") from error

    def submit(
        self,
        job_id: str,
        command: str,
        *,
        modules: Sequence[Path],
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
        cpus: float,
        gpus: float,
    ) -> None:
        """Hand a job to the cluster.

        Raises
        ------
        ClusterUnreachableError
        TrainingError
            If the cluster refuses it.
        """
        packed = {"py_modules": [str(path) for path in modules]} if modules else {}  # none fail
        with self._asking():
            self._connected().submit_job(
                entrypoint=command,
                submission_id=job_id,
                runtime_env={**packed, "env_vars": dict(environment)},
                metadata=dict(metadata),
                entrypoint_num_cpus=cpus,
                entrypoint_num_gpus=gpus,
            )

    def state(self, job_id: str) -> JobState | None:
        """Return where a job stands; None if the cluster does not know it (any more).

        Raises
        ------
        ClusterUnreachableError
        TrainingError
            If the cluster says something else.
        """
        try:
            with self._asking():
                info = self._connected().get_job_info(job_id)
        except ClusterUnreachableError:
            raise
        except TrainingError as error:
            if "does not exist" in str(error):
                return None
            raise
        return JobState(str(info.status.value), info.message or "", info.driver_exit_code)

    def stop(self, job_id: str) -> None:
        """Ask the cluster to end a job."""
        with self._asking():
            self._connected().stop_job(job_id)

    def last_words(self, job_id: str, count: int = 3) -> str:
        """Return the last lines that a job printed."""
        with self._asking():
            text = str(self._connected().get_job_logs(job_id) or "")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-count:])

    def _connected(self) -> Any:
        if self._client is None:  # which asks the cluster for its version
            self._client = self._ray.JobSubmissionClient(self._url)
        return self._client

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._requests.RequestException) as error:
            raise ClusterUnreachableError(
                f"the Ray cluster at {self._url} does not answer ({type(error).__name__})"
            ) from error
        except RuntimeError as error:
            raise refusal(self._url, str(error)) from error


def refusal(url: str, words: str) -> TrainingError:
    """Return what an answer means by which a cluster refuses something."""
    text = f"the Ray cluster at {url} says: {words}"
    is_trouble_of_its_own = words.startswith(f"{_REFUSED} 5")
    return ClusterTroubledError(text) if is_trouble_of_its_own else TrainingError(text)


def quiet() -> dict[str, str]:
    """Return the environment in which Ray sends nobody word of its use."""
    return {"RAY_USAGE_STATS_ENABLED": "0"}
