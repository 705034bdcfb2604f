"""Starting a Python of our own beside this one, wherever this one happens to work.

Python looks for the modules that it imports in the folder where it is started. That may be a
dataset, a run or a model that a stranger made, with a ``cv2.py`` in it: whatever lies there must
not be found.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import workbench


def own_python(*arguments: str) -> list[str]:
    """Return the command for a Python that looks for no module in the folder it starts in.

    Parameters
    ----------
    *arguments : str
        ``"-m"`` and a module, or ``"-c"`` and a program, and what follows.
    """
    return [sys.executable, "-P", *arguments]


def python_path() -> dict[str, str]:
    """Let a child find this package also where it runs from a folder of sources.

    What stands in ``PYTHONPATH`` means the same folders to the child as to this process; an
    empty part, which would mean the folder that the child is started in, is left out.
    """
    named = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    inherited = [str(Path(part).resolve()) for part in named]
    home = str(Path(workbench.__file__).resolve().parents[1])
    if Path(home).name not in {"site-packages", "dist-packages"} and home not in inherited:
        inherited.insert(0, home)
    return {"PYTHONPATH": os.pathsep.join(inherited)}
