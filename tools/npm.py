"""Install what a folder's ``package-lock.json`` names, in exactly these versions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["install"]


def install(folder: Path) -> str:
    """Let npm install into ``node_modules``, unless it has since the lock changed.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        Why it could not be done; empty if all is there.
    """
    npm = shutil.which("npm")
    if npm is None:
        return "Node.js is not installed (20 or later, with npm)"
    done = folder / "node_modules" / ".package-lock.json"  # npm writes it last
    lock = folder / "package-lock.json"
    if done.is_file() and done.stat().st_mtime >= lock.stat().st_mtime:
        return ""
    # It asks nobody about the packages and runs none of their scripts.
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    if subprocess.run([npm, "ci", *quiet], cwd=folder, check=False).returncode:
        return f"npm could not install what {lock.name} names, see above"
    return ""
