"""What is installed, and whether the pieces fit each other."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from workbench import __version__
from workbench.doctor.findings import Finding, Status
from workbench.own_python import own_python, python_path

_DISTRIBUTION = "yolo-workbench"
_SHOWN = ("torch", "torchvision")  # beside our own requirements: what problem reports need
_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_FRONT_ENDS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")
_INSTALL_AGAIN = (
    "Install Workbench again into this environment: `make lab` in a checkout, else `{}`."
)


def check_python() -> Finding:
    """Name the Python that runs, and the environment it belongs to."""
    return Finding(
        Status.OK,
        "Python",
        f"{platform.python_version()} in {sys.prefix} on {platform.platform()}",
    )


def check_requirements() -> list[Finding]:
    """Compare what is installed with what the package metadata asks for."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(_DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        return [
            Finding(
                Status.PROBLEM,
                "Packages",
                "Workbench runs from a folder that was never installed into this environment",
                "Run `make lab` in the checkout, or `pip install -e .` in its folder.",
            )
        ]
    needed = [
        each for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
    ]
    names = [*(each.name for each in needed), *_SHOWN]
    return compare_requirements(needed, {name: _version(name) for name in names})


def compare_requirements(
    requirements: Iterable[Requirement], installed: Mapping[str, str | None]
) -> list[Finding]:
    """Return one finding for what fits, and one for each package that does not.

    Parameters
    ----------
    requirements : iterable of Requirement
        What is asked for.
    installed : mapping of str to (str or None)
        Version of each package, None where it is missing.
    """
    present = [f"{name} {version}" for name, version in installed.items() if version]
    findings = [Finding(Status.OK, "Packages", ", ".join([f"workbench {__version__}", *present]))]
    for requirement in requirements:
        version = installed[requirement.name]
        # Pre-releases count as well: the user has chosen to install one.
        if version and requirement.specifier.contains(version, prereleases=True):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        findings.append(
            Finding(
                Status.PROBLEM,
                requirement.name,
                f"{version or 'nothing'} is installed, {wanted} is needed",
                _INSTALL_AGAIN.format(f"{sys.executable} -m pip install '{wanted}'"),
            )
        )
    return findings


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_opencv() -> Finding:
    """Find the two usual faults of OpenCV: two builds in one folder, and missing libraries."""
    builds = [name for name in _OPENCV if _version(name)]
    if len(builds) > 1:
        pip = f"{sys.executable} -m pip"
        return Finding(
            Status.PROBLEM,
            "OpenCV",
            f"{' and '.join(builds)} are installed into one folder, over each other",
            f"Run `{pip} uninstall -y {' '.join(builds)}`, "
            f"then `{pip} install --force-reinstall opencv-python`.",
        )
    # In a process of its own: a library that is missing now must not stay half loaded here.
    done = subprocess.run(
        own_python("-c", "import cv2; print(cv2.__version__)"),
        env={**os.environ, **python_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return Finding(Status.OK, "OpenCV", f"{builds[0] if builds else 'cv2'} loads")
    return opencv_failure(done.stderr)


def opencv_failure(stderr: str) -> Finding:
    """Say what to do about an ``import cv2`` that ended with this error output."""
    said = stderr.strip().splitlines()
    if "cannot open shared object file" in stderr:
        remedy = "Install the system's libraries for it: on Debian and Ubuntu "
        remedy += "`apt-get install libgl1 libglib2.0-0`."
    else:
        remedy = f"Run `{sys.executable} -m pip install --force-reinstall opencv-python`."
    return Finding(
        Status.PROBLEM, "OpenCV", f"does not load: {said[-1] if said else 'no message'}", remedy
    )


def check_torch_pair(probe: Mapping[str, Any]) -> Finding:
    """Judge whether torch and torchvision load and fit each other.

    Parameters
    ----------
    probe : mapping
        What the ``torch`` probe found.
    """
    if probe.get("late"):
        return Finding(
            Status.NOTE,
            "PyTorch",
            f"whether it can be loaded is not known: {probe['failure']}",
            "Run the doctor again when the machine has less to do.",
        )
    if "failure" in probe:
        return Finding(
            Status.PROBLEM,
            "PyTorch",
            f"loading it ends the process: {probe['failure']}",
            f"Run `{sys.executable} -m pip install --force-reinstall torch torchvision`.",
        )
    if probe["problem"] is not None:
        return Finding(
            Status.PROBLEM,
            "PyTorch",
            probe["problem"],
            f"Run pip as `{sys.executable} -m pip`, so that it reaches this environment.",
        )
    return Finding(
        Status.OK, "PyTorch", f"torch {_version('torch')} and torchvision {_version('torchvision')}"
    )


def check_widget_front_end() -> Finding:
    """Find the halves of the widgets that run in JupyterLab's page."""
    if importlib.util.find_spec("jupyter_core") is None:
        return missing_front_ends(list(_FRONT_ENDS))
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [
        name
        for name in _FRONT_ENDS
        if not any((folder / name / "package.json").is_file() for folder in folders)
    ]
    return missing_front_ends(missing)


def missing_front_ends(names: list[str]) -> Finding:
    """Say what it means that these extensions of JupyterLab's page are not there."""
    if not names:
        return Finding(Status.OK, "Widgets", "JupyterLab has what it needs to show the panels")
    return Finding(
        Status.PROBLEM,
        "Widgets",
        f"JupyterLab lacks {' and '.join(names)}: panels would show as text",
        f"Run `{sys.executable} -m pip install --force-reinstall jupyterlab_widgets anywidget`; "
        "a JupyterLab in another environment needs the same there.",
    )
