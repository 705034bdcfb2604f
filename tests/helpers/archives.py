"""Zip archives as other tools and as attackers make them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.helpers.pictures import jpeg

YAML = b"train: images/train\nval: images/val\nnames: [cat, dog]\n"
BOX = b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"


def small_dataset() -> dict[str, bytes]:
    """Members of a plain archive: two images, one of them labelled."""
    return {
        "data.yaml": YAML,
        "images/train/a.jpg": jpeg(1),
        "images/val/b.jpg": jpeg(2),
        "labels/train/a.txt": BOX,
    }


def write_zip(
    path: Path, members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write an archive with exactly these member names, however hostile."""
    path.write_bytes(zip_bytes(list(members.items()), compression=compression))
    return path


def zip_bytes(members: list[tuple[str, bytes]], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members:
            # A ZipInfo keeps a backslash and a leading slash, which a plain name would lose.
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.compress_type = compression
            archive.writestr(info, data)
    return buffer.getvalue()


def with_link(path: Path, name: str, target: str) -> Path:
    """Append a symbolic link, as ``zip -y`` stores it."""
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (0o120777 << 16) | 0
        archive.writestr(info, target)
    return path


def encrypted(path: Path) -> Path:
    """Set the encryption flag (bit 0) of every local and central header (APPNOTE 4.4.4)."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    return path


def damaged(path: Path, inside: bytes) -> Path:
    """Flip a bit of a member's data, found by the bytes `inside` of it."""
    data = bytearray(path.read_bytes())
    at = data.index(inside) + len(inside) // 2
    data[at] ^= 0x10
    path.write_bytes(data)
    return path
