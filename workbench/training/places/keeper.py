"""The process that follows a run on a cluster: ``python -m workbench.training.places.keeper``.

It takes the run's folder as its only argument, sends the run to its cluster, and stays until it
is over. It may be killed at any time, and started again: all that it knows is in the folder.
"""

from __future__ import annotations

import sys
import time
import traceback
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import workbench
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training.events import Cancelled, Event, Failed, Paused, Placed, Stopped, Warned
from workbench.training.failures import killed
from workbench.training.lost import failed
from workbench.training.node_data import note_contents
from workbench.training.places.jobs import (
    FAILED,
    PENDING,
    STOPPED,
    SUCCEEDED,
    ClusterJobs,
    ClusterTroubledError,
    ClusterUnreachableError,
    JobState,
    quiet,
)
from workbench.training.places.ray import RayPlace
from workbench.training.places.replaced import SECONDS_TO_LET_GO
from workbench.training.places.versions import versions_here
from workbench.training.progress import RunProgress
from workbench.training.reading import RunReader
from workbench.training.telling import has_ended, tell

REFUSED = 3
"""Exit status of a job that cannot train on its node, and would not on another like it."""

_POLL_SECONDS = 0.5
_SECONDS_BETWEEN_SIGNS = 5.0
_SECONDS_UNTIL_TOLD = 30.0
# One that was shut down, as a trial is, never answers.
_SECONDS_TO_BE_HEARD = 60.0
# A head that has just begun takes no jobs for a while; one that never does is to be said.
_SECONDS_OF_TROUBLE = 300.0
# A shared folder may show what another machine wrote some seconds later.
_SECONDS_FOR_LAST_WORDS = 10.0
_MOST_TRIES = 3
_NODE_LOST = "its node has ended, or Ray there has: `ray status` says which nodes are left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the cluster knows of a run.

    Parameters
    ----------
    id : str
        What the cluster calls it.
    versions : dict of str to str
        That the node must have.
    epochs_done : int
        When it was sent.
    tries : int
        How often it was sent since an epoch was last completed.
    """

    id: str
    versions: dict[str, str]
    epochs_done: int = 0
    tries: int = 1


def task_of(folder: RunFolder) -> Task | None:
    """Return what the cluster knows of a run, or None if it was not sent yet."""
    found = folder.read_task()
    return None if found is None else Task(**found)


class Keeper:
    """Sends a run to its cluster, and follows it until it is over.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._reader = RunReader(folder)
        self._place = RayPlace.at(self._reader.job.where)
        self._jobs = ClusterJobs(self._place.url)
        self._silent_since = 0.0
        self._silence_told = False
        self._troubled_since = 0.0
        self._over_since = 0.0
        self._placed = ""

    def run(self) -> None:
        """Follow the run until its last word is told."""
        next_sign = 0.0
        while not self._progress().is_over:
            if time.monotonic() >= next_sign:
                self._folder.write_keeper(ProcessRecord.of_this_process())
                next_sign = time.monotonic() + _SECONDS_BETWEEN_SIGNS
            try:
                self._look()
                self._hear_again()
            except ClusterUnreachableError as error:
                self._wait_for_cluster(error)
            time.sleep(_POLL_SECONDS)

    def _look(self) -> None:
        task = task_of(self._folder)
        if task is None:
            note_contents(self._folder)
            self._send(Task(id=_new_id(), versions=versions_here()))
            return
        state = self._jobs.state(task.id)
        if state is None and not self._has_begun():
            # Not yet: it was noted, and the sending failed, or whoever was about to send it died.
            self._send(task)
        elif state is None:
            self._send_again(task, "the cluster does not know it any more")
        elif not state.is_over:
            self._pass_on_requests(task, state)
        elif not self._progress().is_over:
            self._settle(task, state)

    def _send(self, task: Task) -> None:
        """Hand the run to the cluster; noted before, so that it is never sent twice."""
        job, place = self._reader.job, self._place
        if self._asked_to_end() is not None:
            self._end()
            return
        self._folder.write_task(asdict(task))
        if self._placed != task.id:
            tell(self._folder, Placed(time=time.time(), where=place.url, task=task.id))
            self._placed = task.id
        self._jobs.submit(
            task.id,
            f"python -m workbench.training.places.node {_quoted(self._folder.path)} {task.id}",
            modules=[Path(workbench.__file__).resolve().parent],
            environment=quiet(),
            metadata={"workbench_run": self._folder.id, "dataset": job.config.dataset},
            cpus=place.cpus,
            gpus=place.gpus_for(job.config),
        )

    def _pass_on_requests(self, task: Task, state: JobState) -> None:
        """End the job where its process cannot see the request, or shall not be asked."""
        begun = self._has_begun()
        if self._asked_to_end() is None:
            return
        if state.status == PENDING and not begun:
            self._give_up(task)
        elif self._folder.cancel_requested() or not begun:
            self._jobs.stop(task.id)

    def _give_up(self, task: Task) -> None:
        """End a run whose job waits. Ray ends such a job only once it has its place.

        By then it is not the run's job any more, and trains nothing.
        """
        self._folder.remove_task()
        self._jobs.stop(task.id)
        time.sleep(_POLL_SECONDS)
        if self._has_begun():  # just then: it is ended as any other
            self._folder.write_task(asdict(task))
        else:
            self._end()

    def _settle(self, task: Task, state: JobState) -> None:
        """Find out why a job is over without a last word, and say it or send it again."""
        if self._folder.cancel_requested():
            self._end()
            return
        if self._over_since == 0.0:
            self._over_since = time.monotonic()
        patient = time.monotonic() - self._over_since < _SECONDS_FOR_LAST_WORDS
        if state.status == SUCCEEDED and patient:
            return
        self._over_since = 0.0
        begun = self._has_begun()
        if not begun and self._asked_to_end() is not None:
            self._end()
        elif state.status == STOPPED:
            text = f"somebody has stopped its job {task.id} on the cluster; it can be resumed"
            tell(self._folder, Failed(time=time.time(), message=text))
        elif state.status == FAILED and not begun and state.exit_code is not None:
            words = self._jobs.last_words(task.id)
            text = f"the run could not begin on its node: {words or state.message}"
            tell(self._folder, Failed(time=time.time(), message=text))
        else:
            self._send_again(task, _reason(state))

    def _send_again(self, task: Task, reason: str) -> None:
        if self._folder.cancel_requested():
            self._let_go()
            return
        progress = self._progress()
        done = progress.epochs_completed
        lost = self._has_begun()
        tries = 1 if done > task.epochs_done else task.tries + lost
        node = f"on {progress.node} " if progress.node else ""
        gone = "is lost" if reason == _NODE_LOST else "is gone without a word"
        text = f"the run {node}{gone} ({reason})"
        if tries > _MOST_TRIES:
            used = progress.resources
            memory, free = (used.memory, used.memory_free) if used is not None else (0.0, 0.0)
            failure = killed(self._reader.job.config, f"{text}, {task.tries} times", memory, free)
            tell(self._folder, failed(failure))
            return
        if lost:
            # After which epoch is for its next process to say: the one before may still save one.
            goes_on = "it goes on from its last checkpoint" if done else "it begins anew"
            self._warn(f"{text}; {goes_on}")
        again = Task(id=_new_id(), versions=task.versions, epochs_done=done, tries=tries)
        if lost:
            # Where its node was lost, its process may be alive, and ends when it sees this.
            self._folder.write_task(asdict(again))
            time.sleep(SECONDS_TO_LET_GO)
        self._send(again)

    def _wait_for_cluster(self, error: ClusterUnreachableError) -> None:
        """Wait for a cluster that does not answer, but not to end a run there for ever.

        Raises
        ------
        ClusterTroubledError
            If it has been answering for long that it cannot.
        """
        if task_of(self._folder) is None and self._asked_to_end() is not None:
            self._end()
            return
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        self._troubled_since = (
            self._troubled_since or now if isinstance(error, ClusterTroubledError) else 0.0
        )
        if self._folder.cancel_requested() and now - self._silent_since >= _SECONDS_TO_BE_HEARD:
            self._let_go()
            return
        if self._troubled_since and now - self._troubled_since >= _SECONDS_OF_TROUBLE:
            raise error
        if now - self._silent_since >= _SECONDS_UNTIL_TOLD and not self._silence_told:
            self._silence_told = True
            print(f"{error}; waiting for it", flush=True)
            self._warn(
                f"since {_clock(now - self._silent_since)} the cluster has not answered ({error}); "
                "what runs there goes on, and is followed again as soon as it answers",
                is_silent=True,
            )

    def _hear_again(self) -> None:
        """Note that the cluster answers, and say so where its silence was told."""
        if self._silence_told and not self._progress().is_over:
            since = _clock(time.monotonic() - self._silent_since)
            self._warn(f"the cluster answers again, after it had not since {since}")
        self._silent_since, self._silence_told, self._troubled_since = 0.0, False, 0.0

    def _warn(self, text: str, *, is_silent: bool = False) -> None:
        text = text[0].upper() + text[1:]
        tell(self._folder, Warned(time=time.time(), text=text, is_silent=is_silent))

    def _let_go(self) -> None:
        """Cancel a run without its cluster: what may be alive of it ends itself."""
        self._folder.remove_task()
        time.sleep(SECONDS_TO_LET_GO)
        self._end()

    def _has_begun(self) -> bool:
        """Whether the job that was sent last has said on which node it is."""
        return self._progress().node_since > 0

    def _asked_to_end(self) -> Event | None:
        """Return the last word of a run that is to end before it has begun; None if it is not."""
        done, now = self._progress().epochs_completed, time.time()
        if self._folder.cancel_requested():
            return Cancelled(time=now)
        if self._folder.stop_requested():
            return Stopped(time=now, epochs_completed=done)
        if self._folder.pause_requested():
            return Paused(time=now, epochs_completed=done)
        return None

    def _end(self) -> None:
        last = self._asked_to_end()
        if last is not None and not self._progress().is_over:
            tell(self._folder, last)

    def _progress(self) -> RunProgress:
        return self._reader.read()


def _new_id() -> str:
    return f"workbench-{uuid.uuid4().hex[:16]}"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\"'\"'") + "'"


def _clock(seconds_ago: float) -> str:
    return time.strftime("%H:%M", time.localtime(time.time() - seconds_ago))


def _reason(state: JobState) -> str:
    if state.exit_code is not None:
        return f"exit status {state.exit_code}"
    words = (state.message.splitlines() or [""])[0]
    # What Ray calls what has begun the run there, which ends with its node only.
    return _NODE_LOST if not words or "actor" in words.lower() else words


def keep(folder: RunFolder) -> None:
    """Follow a run until it is over, and tell of it if that fails.

    Raises
    ------
    Exception
        Whatever broke it, after a `Failed` event.
    """
    try:
        Keeper(folder).run()
    except Exception as error:
        if not has_ended(folder):
            text = f"the run could not be followed on its cluster: {error}"
            trace = traceback.format_exc()
            tell(folder, Failed(time=time.time(), message=text, traceback=trace))
        raise


def main(arguments: list[str]) -> int:
    """Run the keeper; return its exit status."""
    if len(arguments) != 1:
        print("usage: python -m workbench.training.places.keeper <run folder>", file=sys.stderr)
        return 2
    keep(RunFolder(Path(arguments[0]).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
