"""One text file to attach to a bug report: the machine, what is installed, how much data.

It says nothing that a person would not want to publish: of the data it holds numbers, no names
and no contents, and paths are cut where they would tell who somebody is.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import platform
import re
import socket
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench import __version__
from workbench.datasets.manager import DatasetManager
from workbench.doctor.findings import Finding, report
from workbench.errors import SetupError, plain_words
from workbench.persistence import create_stores
from workbench.persistence.counting import counted
from workbench.persistence.models import SPLITS, DatasetInfo
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.scratch import scratch_prefix

_DISTRIBUTION = "yolo-workbench"
_WIDTH = 100
_GIB = 2**30


def default_name(now: datetime | None = None) -> str:
    """Return a name for a report that sorts by time."""
    return f"workbench-report-{now or datetime.now():%Y%m%d-%H%M%S}.txt"


def write_report(target: Path, findings: Sequence[Finding], data_dir: Path) -> Path:
    """Write a report and return its path.

    Parameters
    ----------
    target : Path
        A file that does not exist yet.
    findings : sequence of Finding
        What the doctor found.
    data_dir : Path
        The folder that holds the datasets, if there is one.

    Raises
    ------
    SetupError
        If `target` exists or cannot be written.
    """
    folder = data_dir.expanduser().absolute()
    private = private_words(folder)
    # Before lines are broken: a path with spaces would be found no more behind a line's end.
    told = [
        replace(
            one,
            text=redact(one.shared or one.text, private),
            remedy="see what the doctor says itself" if one.shared else redact(one.remedy, private),
        )
        for one in findings
    ]
    parts = [_heading(), report(told, _WIDTH), _machine(), _data(folder), _packages()]
    text = redact("\n\n".join(parts), private) + "\n"
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SetupError(
            f"The report could not be written to {str(target)!r} ({plain_words(error)}): "
            "name another file behind --report"
        ) from error
    return target


def private_words(data_dir: Path) -> dict[str, str]:
    """Return what is left out of a report, and what stands there instead."""
    words = {str(data_dir): "<data>", str(Path.cwd()): "<here>", str(Path.home()): "~"}
    words[socket.gethostname()] = "<machine>"
    with suppress(KeyError, OSError):  # a container's user id may have no name
        words[getpass.getuser()] = "<user>"
    return words


def redact(text: str, words: Mapping[str, str]) -> str:
    """Replace words wherever they stand by themselves, the longest first."""
    # The topmost folder would occur in every path, and has no information.
    known = sorted((word for word in words if word.strip("/\\")), key=len, reverse=True)
    whole = "|".join(re.escape(word) for word in known)
    return re.sub(rf"(?<!\w)(?:{whole})(?!\w)", lambda match: words[match[0]], text)


def _heading() -> str:
    return (
        f"Workbench {__version__}, report of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        "Please read it before you pass it on. It should hold no names and no contents of your "
        "data."
    )


def _machine() -> str:
    memory = psutil.virtual_memory()
    return (
        f"Machine: {platform.machine()}, {counted(os.cpu_count() or 1, 'processor')}, "
        f"{memory.total / _GIB:.1f} GiB memory, {memory.available / _GIB:.1f} GiB of it free; "
        f"file names in {sys.getfilesystemencoding()}"
    )


def _data(folder: Path) -> str:
    if not folder.is_dir():
        return "Data: there is no data folder yet"
    datasets = asyncio.run(_datasets(folder))
    folders = sum(1 for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    lines = [f"Data: {counted(len(datasets), 'dataset')} in {counted(folders, 'folder')}"]
    for number, info in enumerate(datasets, start=1):
        if info.problem:  # whose words name folders and classes
            lines.append(f"  {number}: damaged")
            continue
        images = ", ".join(f"{info.num_images[split]} in {split}" for split in SPLITS)
        lines.append(
            f"  {number}: {counted(len(info.classes), 'class', 'classes')}; images: {images}"
        )
    runs = len(RunFolder.find_all(folder.parent / "runs"))
    lines.append(f"Training runs beside it: {runs}")
    return "\n".join(lines)


async def _datasets(folder: Path) -> list[DatasetInfo]:
    # The stores make their folders; that of the models is none of the user's.
    with tempfile.TemporaryDirectory(prefix=scratch_prefix("report")) as models_dir:
        return await DatasetManager.on(create_stores(folder, models_dir)).list()


def _packages() -> str:
    """Name the packages that Workbench needs, directly or not; the report leaves out all others."""
    found: dict[str, str] = {}
    waiting = [_DISTRIBUTION]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        needed = [Requirement(line) for line in metadata.requires(name) or ()]
        waiting += [
            canonicalize_name(each.name)
            for each in needed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    return textwrap.fill(
        f"Packages: {listed}", _WIDTH, break_long_words=False, break_on_hyphens=False
    )
