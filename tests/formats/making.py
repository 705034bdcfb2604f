"""Small exports made on the spot, and what became of them as raw files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from workbench.persistence.models import DatasetInfo

WIDTH, HEIGHT = 200, 100
BOX = (0.25, 0.35, 0.3, 0.5)
"""Pixels 20, 10 to 80, 60 of 200 x 100."""

_MORE = b"<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"


def picture(width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> bytes:
    """A JPEG with that EXIF orientation, `width` x `height` as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 140)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


PICTURE = picture()


def folder(root: Path, files: Mapping[str, bytes | str | Any]) -> Path:
    """Write files: bytes, text, or whatever JSON takes."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


def labels(info: DatasetInfo) -> dict[str, list[tuple[float, ...]]]:
    """The rows of every label file, by split and name without extension."""
    base = info.path / "labels"
    return {
        path.relative_to(base).with_suffix("").as_posix(): [
            tuple(round(float(value), 5) for value in row.split())
            for row in path.read_text().splitlines()
        ]
        for path in base.rglob("*.txt")
    }


def images(info: DatasetInfo) -> list[str]:
    """Every image, by split and name."""
    base = info.path / "images"
    return sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())


def voc(objects: str, size: tuple[int, int] = (WIDTH, HEIGHT), name: str = "a.jpg") -> bytes:
    """A Pascal VOC annotation."""
    return (
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{objects}</annotation>"
    ).encode()


def voc_object(name: str = "roo", box: tuple[float, ...] = (20, 10, 80, 60)) -> str:
    """One object of it."""
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{_MORE.decode()}<bndbox>{inner}</bndbox></object>"


def coco(
    *annotations: Mapping[str, Any], names: tuple[str, ...] = ("a.jpg",), **more: Any
) -> dict[str, Any]:
    """A COCO file of one category, cat; annotations are of the first image."""
    return {
        "images": [
            {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for n, name in enumerate(names, start=1)
        ],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "iscrowd": 0, **item}
            for n, item in enumerate(annotations, start=1)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        **more,
    }


def mask() -> dict[str, Any]:
    """The box as a run-length encoded mask, not packed."""
    runs = [20 * HEIGHT + 10] + [50] * 119
    return {"size": [HEIGHT, WIDTH], "counts": [*runs, HEIGHT * WIDTH - sum(runs)]}
