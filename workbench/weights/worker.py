"""The process that reads weights: ``python -m workbench.weights.worker <job>``.

The job is JSON: ``source``, ``target``, ``shown`` (what to call the file) and ``agreed``, the
names in it to which somebody has said yes. The answer is JSON on its output: ``suspicious``,
``facts``, or ``error``. Without such a yes, the process can neither use the network nor start
another, nor take more memory or time than it should need, and nothing of the file is run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.archive import WeightsArchive
from workbench.weights.container import write
from workbench.weights.facts import facts_of
from workbench.weights.meaning import MAX_DEPTH, Meaning
from workbench.weights.program import MAX_BYTES, Program, ProgramError

_MAX_MEMORY = 1536 * 2**20  # of addresses; what is in use at any time is far less
_MAX_SECONDS = 120
_MAX_FRAMES = 20 * MAX_DEPTH
_NAMES_TOLD = 50
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.")


def lock_down(memory: int | None = _MAX_MEMORY) -> None:
    """Let this process reach no network, start no other, and take no more than its share.

    Parameters
    ----------
    memory : int or None
        Bytes of addresses; None: as much as it needs, and as much time.
    """

    def refuse(event: str, _arguments: Any) -> None:
        if event.startswith(_FORBIDDEN):
            raise PermissionError(f"{event}: not in a process that reads weights")

    sys.addaudithook(refuse)
    if memory is None:
        return
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, _MAX_SECONDS)):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, hard))


def rewrite(source: Path, target: Path, shown: str, agreed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a weights file without running it, and write it again.

    Parameters
    ----------
    source, target : Path
    shown : str
        What to call the file in errors.
    agreed : sequence of str
        Names to which somebody has said yes: then layers of any class are taken.

    Returns
    -------
    dict
        ``suspicious``: names in it that no model needs; if there are any, and nobody
        agreed, nothing is written. ``facts``: see `facts_of`.

    Raises
    ------
    InvalidModelError
        If it is damaged or something else.
    """
    with WeightsArchive(source) as archive:
        try:
            program = Program(archive.pickle(MAX_BYTES))
        except ProgramError as error:
            raise InvalidModelError(
                f"{shown}: expected weights of Ultralytics, found {error}; get it again from where "
                "it comes from"
            ) from error
        suspicious = sorted(program.unknown)[:_NAMES_TOLD]
        if suspicious and not agreed:
            return {"suspicious": suspicious, "facts": {}}
        facts = {**facts_of(program.result, shown), "agreed": list(agreed)}
        meaning = Meaning(program.result, shown, trusted=bool(agreed))
        write(target, meaning.nodes, meaning.root, facts, meaning.storages, archive.chunks)
    return {"suspicious": suspicious, "facts": facts}


def run_and_save(source: Path, target: Path) -> None:
    """Load a file that is trusted, which runs its code, and save what came of it.

    What is saved holds the names of classes, and no code any more.
    """
    import torch

    tasks: Any = import_module("ultralytics.nn.tasks")
    content = tasks.torch_safe_load(str(source), safe_only=False)[0]
    torch.save(content, target)


def main(arguments: list[str]) -> int:
    """Do what the job says; the exit status is 0 if there is an answer."""
    job = json.loads(arguments[0])
    source, target, shown = Path(job["source"]), Path(job["target"]), str(job["shown"])
    sys.setrecursionlimit(_MAX_FRAMES)
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is not the answer
    try:
        if job["agreed"]:
            again = source.with_name("run.pt")
            run_and_save(source, again)
            source = again
        else:
            lock_down()
        answer = rewrite(source, target, shown, job["agreed"])
    except InvalidModelError as error:
        said = str(error).replace(str(source), shown).replace(str(target), shown)
        answer = {"error": said}
    except MemoryError:
        answer = {"error": f"{shown}: reading it would take more memory than a model needs"}
    with os.fdopen(out, "w") as file:
        file.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
