"""The head of a trial cluster: ``python -m workbench.training.places.trial_head``.

It takes the options of ``ray start`` and is that, on a machine whose processors may be busy. Its
input is a pipe whose other end only whoever has started it has. That closes however they end, also
where they are killed and can do nothing any more; then it ends as well.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from functools import partial
from importlib import import_module
from typing import Any

import psutil

from workbench.training.processes import kill_tree

_AGENT = "--dashboard_agent_command="
_PORT = re.compile(r"--listen-port=([1-9]\d*)")


def let_nodes_start_slowly() -> None:
    """Let nodes that this process starts not end where their agents are late.

    A node's main process waits 15 seconds for its agent to say at which port it listens, and ends
    itself if that takes longer. It needs no word where it is told itself, which Ray does for all
    ports of a node but this one.
    """
    services: Any = import_module("ray._private.services")
    start = services.start_ray_process

    def start_and_tell(command: list[str], *arguments: Any, **options: Any) -> Any:
        return start(telling_the_port(command), *arguments, **options)

    services.start_ray_process = start_and_tell


def telling_the_port(command: list[str]) -> list[str]:
    """Return the command of a node's main process with the port that its agent is to have."""
    agent = next((part for part in command if part.startswith(_AGENT)), "")
    found = _PORT.search(agent)
    return command if found is None else [*command, f"--dashboard_agent_listen_port={found[1]}"]


def end_with_input() -> None:
    """Let this process end as its input does, with all that it has started by then."""
    killing = threading.Lock()
    # What is waited for may be the first to be gone, while more is still to be killed.
    atexit.register(killing.acquire)
    watch = partial(_end_with_input, killing)
    threading.Thread(target=watch, name="input-watch", daemon=True).start()


def _end_with_input(killing: threading.Lock) -> None:
    os.read(0, 1)  # past Python's own reader, which may not be at work as a process ends
    killing.acquire()
    for child in psutil.Process().children():
        kill_tree(child)
    os._exit(1)


def main(options: list[str]) -> None:
    """Start a head, and end with it."""
    end_with_input()
    let_nodes_start_slowly()
    sys.argv = ["ray", "start", "--head", "--block", *options]
    import_module("ray.scripts.scripts").main()


if __name__ == "__main__":
    main(sys.argv[1:])
