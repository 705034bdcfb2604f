"""A dataset and a model that a stranger has made, beside healthy ones and a home with secrets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.helpers.archives import small_dataset
from tests.helpers.pictures import jpeg
from workbench.persistence import Stores, create_stores

LIMIT_S = 30
_SHA256 = hashlib.sha256(b"weights").hexdigest()
T = TypeVar("T")


class Planted:
    """A folder with ``data/pets`` and ``models/net``, which are a stranger's.

    ``data/sound`` and ``models/good`` are healthy, and ``home`` is none of the stranger's
    business.

    Parameters
    ----------
    folder : Path
        An empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.pets = folder / "data" / "pets"
        self.models = folder / "models"
        self._write(self.home / ".bashrc", b"export PATH=/bin\n")
        self._write(self.home / ".ssh/id_rsa", b"PRIVATE KEY\n")
        self._write(self.home / "tmp/holiday.jpg", jpeg(7))
        self._write(self.home / "notes.txt", b"0 0.5 0.5 0.1 0.1\n")
        for name in ("pets", "sound"):
            for path, data in small_dataset().items():
                self._write(folder / "data" / name / path, data)
        for name in ("net", "good"):
            self._write(self.models / name / "weights.pt", b"weights")
            self._write(self.models / name / "model.json", json.dumps(model_facts()).encode())
        self.remember()

    def remember(self) -> None:
        """Take what lies outside now for what has to stay as it is."""
        self._before = self.outside()

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def plant(self, path: str, content: object) -> Path:
        """Put JSON, or bytes as they are, at a path below ``data/pets``."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self._write(self.pets / path, data)
        return self.pets / path

    def stores(self) -> Stores:
        return create_stores(self.folder / "data", self.models)

    def outside(self) -> dict[str, object]:
        """What lies outside of the stranger's folders; of links, where they lead."""
        return dict(state(self.home)) | {
            f"sound/{name}": content
            for name, content in state(self.folder / "data" / "sound")
            if not name.startswith(".workbench")
        }

    def assert_nothing_outside_changed(self) -> None:
        assert self.outside() == self._before

    def assert_no_secret_inside(self, *more: Path) -> None:
        """Nothing of the home has come into the stranger's folders, or into `more`."""
        for folder in (self.pets, self.models, *more):
            for name, content in state(folder):
                assert b"PRIVATE KEY" not in content, name
                assert content != jpeg(7), name


def model_facts(**changes: object) -> dict[str, object]:
    facts: dict[str, object] = {
        "base_model": "yolo11n",
        "dataset_name": "pets",
        "created_at": "2026-01-01T00:00:00+00:00",
        "epochs_completed": 1,
        "metrics": {},
        "class_names": ["cat"],
        "details": {},
        "weights": {"file": "weights.pt", "size": 7, "mtime": 0, "sha256": _SHA256},
    }
    return facts | changes


def state(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the relative path of all there is below a folder, with its bytes or where it leads."""
    for base, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(base, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                content = b"-> " + str(path.readlink()).encode()
            elif stat.S_ISREG(mode):
                content = path.read_bytes()
            else:
                content = f"kind {stat.S_IFMT(mode):o}".encode()
            yield str(path.relative_to(folder)), content


async def limited(work: Awaitable[T], pipes: tuple[Path, ...] = ()) -> T:
    """Await something that must not hang; if it does, whoever waits for a pipe is let go."""
    try:
        return await asyncio.wait_for(asyncio.ensure_future(work), LIMIT_S)
    except TimeoutError:
        for pipe in pipes:
            with suppress(OSError), _both_ends(pipe):
                pass
        raise


@contextmanager
def _both_ends(pipe: Path) -> Iterator[None]:
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield
    finally:
        os.close(descriptor)
