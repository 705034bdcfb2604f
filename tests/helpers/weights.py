"""Weights files made by hand: small ones as torch writes them, and tricks played on them."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

TOP = "best"
NUMBERS = struct.pack("<4f", 1, 2, 3, 4)


class Say:
    """Pickles as a call of a named function, without having it here."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.module, _, self.name = name.rpartition(".")
        self.arguments = arguments


class _Writer(pickle._Pickler):  # type: ignore[name-defined,misc]  # the one in Python
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Say):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
            self.save(obj.arguments)
            self.write(b"R")
        else:
            super().save(obj, save_persistent_id)


def program(value: Any) -> bytes:
    """A pickle of protocol 2, as torch writes it, in which `Say` stands for calls."""
    out = io.BytesIO()
    _Writer(out, 2).dump(value)
    return out.getvalue()


def model(layers: str = "", yaml: dict[str, Any] | None = None) -> bytes:
    """A checkpoint with a model that holds nothing, but for `layers`, instructions for a value."""
    state = program({"names": {0: "mug"}, "task": "detect", "yaml": yaml or {"nc": 1}})
    new = b"cultralytics.nn.tasks\nDetectionModel\n)\x81"
    filled = new + state[2:-1] + b"b"
    extra = b"X\x05\x00\x00\x00extra" + layers.encode("latin-1") + b"s" if layers else b""
    return b"\x80\x02}X\x05\x00\x00\x00model" + filled + b"s" + extra + b"."


def members(data: bytes, top: str = TOP) -> list[tuple[str, bytes]]:
    """What a weights file consists of."""
    return [
        (f"{top}/data.pkl", data),
        (f"{top}/byteorder", b"little"),
        (f"{top}/data/0", NUMBERS),
        (f"{top}/version", b"3\n"),
    ]


def packed(parts: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def written(path: Path, content: bytes) -> Path:
    """Write a file; return its path."""
    path.write_bytes(content)
    return path


def split(archive: bytes) -> tuple[bytes, bytes, bytes]:
    """Members, directory and end record of a zip."""
    *_, size, offset, _ = struct.unpack("<IHHHHIIH", archive[-22:])
    return archive[:offset], archive[offset : offset + size], archive[-22:]


def end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    """An end record."""
    fields = (0x06054B50, 0, 0, count, count, size, offset, len(comment))
    return struct.pack("<IHHHHIIH", *fields) + comment
