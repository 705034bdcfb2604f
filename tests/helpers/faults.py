"""Every fault that a health check knows, planted in the files of a dataset."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from workbench.datasets.health import HealthReport
from workbench.samples.scenes import scenes

Frame = npt.NDArray[np.uint8]
NFD = "cafe\u0301"
DATASET_WIDE = frozenset({"empty-split"})
"""Faults that a dataset with all the others cannot have."""


@dataclass
class Planting:
    """Plants faults, each on images of its own, and keeps the books.

    Parameters
    ----------
    root : Path
        Folder of the dataset; at least 45 images of its training split have boxes.
    avoid : set of str
        Images, as ``split/name``, that have something the matter already.
    """

    root: Path
    avoid: frozenset[str] = frozenset()
    expected: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        labels = sorted((self.root / "labels/train").glob("*.txt"))
        self._donors = iter([p.stem for p in labels if p.stat().st_size and self._fit(p.stem)])
        self.fresh = (scene.frame for scene in scenes(50, image_size=240, seed=4321))
        rows = [row.split() for path in labels for row in path.read_text().splitlines()]
        areas: dict[int, list[float]] = defaultdict(list)
        for class_id, _, _, width, height in rows:
            areas[int(class_id)].append(float(width) * float(height))
        self.median = {class_id: float(np.median(own)) for class_id, own in areas.items()}
        # A class in which a box of a fifth of the image's sides is nothing special.
        self.usual = min(self.median, key=lambda c: abs(np.log(self.median[c] / 0.04)))

    def _fit(self, stem: str) -> bool:
        image = self.image(stem)
        return image is not None and f"train/{image.name}" not in self.avoid

    def image(self, stem: str, split: str = "train") -> Path | None:
        """The file of an image."""
        return next((self.root / f"images/{split}").glob(f"{stem}.*"), None)

    def donor(self) -> tuple[Path, Path]:
        """An image that no fault was planted on yet, and its label file."""
        stem = next(self._donors)
        image = self.image(stem)
        assert image is not None
        return image, self.root / f"labels/train/{stem}.txt"

    def note(self, kind: str, *paths: Path) -> None:
        """Keep in the books that a fault was planted."""
        self.expected[kind].update(f"{p.parent.name}/{p.name}" for p in paths)


def plant_all(root: Path, before: HealthReport | None = None) -> dict[str, set[str]]:
    """Plant every fault; return by kind what should be found: images, files or classes.

    Images that the report of a check `before` names are left as they are.
    """
    known = {"/".join(key) for finding in before or () for key in finding.images}
    planting = Planting(root, frozenset(known))
    for plant in (_states, _files, _names, _rows, _ranges, _boxes, _classes, _leaks, _quality):
        plant(planting)
    return dict(planting.expected)


def outcome(
    before: HealthReport, after: HealthReport, expected: dict[str, set[str]]
) -> dict[str, tuple[int, int, set[str], set[str]]]:
    """Compare; by kind: the number planted and found, what was missed, and what was invented."""
    result = {}
    for kind in sorted(before.kinds | after.kinds | set(expected)):
        found, known = subjects(after, kind), subjects(before, kind)
        wanted = expected.get(kind, set())
        result[kind] = (
            len(wanted),
            len(wanted & found),
            wanted - found,
            found - known - wanted,
        )
    return result


def subjects(report: HealthReport, kind: str) -> set[str]:
    """What a finding is about: images if there are any, else what its details name."""
    if kind not in report.kinds:
        return set()
    finding = report[kind]
    names = {"/".join(key) for key in finding.images}
    return names or {d.removeprefix("labels/").partition(":")[0] for d in finding.details}


def _states(p: Planting) -> None:
    image, label = p.donor()
    label.unlink()
    p.note("unlabelled", image)
    image, label = p.donor()
    label.write_bytes(b"")
    p.note("background", image)
    (p.root / "images/train/gone.jpg").symlink_to("nowhere.jpg")
    p.note("missing-image", p.root / "images/train/gone.jpg")
    image, _ = p.donor()
    elsewhere = p.root.parent / f"elsewhere{image.suffix}"
    image.rename(elsewhere)
    image.symlink_to(elsewhere)
    p.note("leads-out", image)
    (p.root / "labels/val/lost.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    p.note("orphan-label", p.root / "labels/val/lost.txt")


def _files(p: Planting) -> None:
    image, _ = p.donor()
    image.write_bytes(b"<html>no such image</html>" * 40)
    p.note("corrupt", image)
    image, _ = p.donor()
    data = image.read_bytes()
    image.write_bytes(data[: len(data) * 6 // 10])
    p.note("truncated", image)
    image, _ = p.donor()
    image.write_bytes(_with_sides(image.read_bytes(), 60_000))
    p.note("too-large", image)
    image, label = p.donor()
    image.write_bytes(_jpeg(next(p.fresh)[:8, :8]))
    label.write_bytes(b"")
    p.note("tiny-image", image)
    p.note("background", image)
    image, _ = p.donor()
    image.write_bytes(cv2.imencode(".png", _read(image))[1].tobytes())
    p.note("wrong-extension", image)
    image, _ = p.donor()
    image.write_bytes(_turned(_jpeg(_read(image))))
    p.note("exif-rotation", image)
    image, _ = p.donor()
    image.write_bytes(_jpeg(_read(image)) + b"\0" * 100)
    p.note("trailing-bytes", image)


def _names(p: Planting) -> None:
    image, _ = p.donor()
    twin = image.with_suffix(".png")
    twin.write_bytes(cv2.imencode(".png", next(p.fresh))[1].tobytes())
    p.note("same-stem", image, twin)
    image, label = p.donor()
    other = p.root / "images/val" / image.name
    other.write_bytes(_jpeg(next(p.fresh)))
    (p.root / "labels/val" / label.name).write_bytes(label.read_bytes())
    p.note("same-name-across-splits", image, other)
    image, label = p.donor()
    p.note("name-not-nfc", image.rename(image.with_name(f"{NFD}.jpg")))
    label.rename(label.with_name(f"{NFD}.txt"))


def _append(path: Path, row: str) -> None:
    text = path.read_text()
    path.write_text(f"{text}{'' if text.endswith(chr(10)) else chr(10)}{row}\n")


def _rows(p: Planting) -> None:
    c = p.usual
    edits: list[tuple[str, Callable[[Path], object]]] = [
        ("unreadable-labels", lambda f: _append(f, "a cat at the left")),
        ("unreadable-labels", lambda f: f.write_bytes(f.read_text().encode("utf-16"))),
        ("unknown-class", lambda f: _append(f, "99 0.5 0.5 0.1 0.1")),
        (
            "confidence-column",
            lambda f: f.write_text("".join(f"{r} 0.87\n" for r in f.read_text().splitlines())),
        ),
        ("mixed-rows", lambda f: _append(f, f"{c} 0.1 0.1 0.3 0.1 0.3 0.3 0.2 0.4")),
        ("polygon-rows", lambda f: f.write_text(f"{c} 0.1 0.1 0.3 0.1 0.3 0.3 0.2 0.4\n")),
        (
            "keypoint-rows",
            lambda f: f.write_text(f"{c} 0.4 0.4 0.2 0.2" + " 0.4 0.45" * 17 + "\n"),
        ),
    ]
    _edit(p, edits)


def _ranges(p: Planting) -> None:
    c = p.usual
    edits: list[tuple[str, Callable[[Path], object]]] = [
        ("box-out-of-range", lambda f: _append(f, f"{c} 1.2 0.5 0.1 0.1")),
        ("box-out-of-range", lambda f: _append(f, f"{c} -0.1 0.5 0.1 0.1")),
        ("box-over-border", lambda f: _append(f, f"{c} 0.97 0.5 0.2 0.2")),
        ("zero-area", lambda f: _append(f, f"{c} 0.3 0.3 0 0.1")),
    ]
    _edit(p, edits)


def _edit(p: Planting, edits: list[tuple[str, Callable[[Path], object]]]) -> None:
    for kind, edit in edits:
        image, label = p.donor()
        edit(label)
        p.note(kind, image)


def _boxes(p: Planting) -> None:
    smallest = min(p.median, key=p.median.__getitem__)

    def first(path: Path) -> tuple[int, float, float, float, float]:
        class_id, *box = path.read_text().split()[:5]
        x, y, width, height = map(float, box)
        return int(class_id), x, y, width, height

    def again(path: Path) -> None:
        class_id, x, y, width, height = first(path)
        _append(path, f"{class_id} {x} {y} {width * 0.98} {height}")

    def otherwise(path: Path) -> None:
        class_id, x, y, width, height = first(path)
        others = {c: abs(np.log(a / width / height)) for c, a in p.median.items() if c != class_id}
        _append(path, f"{min(others, key=others.__getitem__)} {x} {y} {width} {height}")

    _edit(
        p,
        [
            ("duplicate-box", lambda f: _append(f, f.read_text().splitlines()[0])),
            ("near-duplicate-box", again),
            ("contradicting-box", otherwise),
            ("huge-box", lambda f: _append(f, f"{smallest} 0.5 0.5 0.98 0.98")),
            ("tiny-box", lambda f: _append(f, f"{smallest} 0.5 0.5 0.004 0.004")),
        ],
    )


def _classes(p: Planting) -> None:
    path = p.root / "data.yaml"
    content = yaml.safe_load(path.read_text())
    count = len(content["names"])
    for offset, name in enumerate(("ghost", "rare", "valonly")):
        content["names"][count + offset] = name
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    _, label = p.donor()
    _append(label, f"{count + 1} 0.31 0.32 0.2 0.2")
    label = next(path for path in sorted((p.root / "labels/val").glob("*.txt")) if _plain(path))
    _append(label, f"{count + 2} 0.31 0.32 0.2 0.2")
    p.expected["class-unused"].add("ghost")
    p.expected["class-absent-val"].add("rare")
    p.expected["class-absent-train"].add("valonly")
    p.expected["imbalance"].update({*content["names"].values()} - {"ghost"})


def _plain(path: Path) -> bool:
    return path.stat().st_size > 0 and path.stem != "lost"


def _leaks(p: Planting) -> None:
    for kind, split, change in (
        ("exact-leak", "val", None),
        ("near-leak", "val", 0.9),
        ("exact-duplicates", "train", None),
        ("near-duplicates", "train", 0.9),
    ):
        image, label = p.donor()
        copy = p.root / f"images/{split}/again_{image.name}"
        data = image.read_bytes()
        if change is not None:
            data = _jpeg(cv2.resize(_read(image), None, fx=change, fy=change), 80)
        copy.write_bytes(data)
        (p.root / f"labels/{split}/again_{label.name}").write_bytes(label.read_bytes())
        p.note(kind, image, copy)


def _quality(p: Planting) -> None:
    def blurred(frame: Frame) -> Frame:
        return np.asarray(cv2.GaussianBlur(frame, (0, 0), frame.shape[0] / 60), np.uint8)

    for kind, change in (
        ("blurred", blurred),
        ("dark", lambda frame: (frame * 0.05).astype(np.uint8)),
        ("overexposed", lambda frame: np.clip(frame * 1.5 + 190.0, 0, 255).astype(np.uint8)),
    ):
        image, _ = p.donor()
        image.write_bytes(_jpeg(change(_read(image))))
        p.note(kind, image)


def _read(path: Path) -> Frame:
    return np.asarray(cv2.imread(os.fspath(path)), np.uint8)


def _with_sides(data: bytes, side: int) -> bytes:
    """A JPEG whose header claims so many rows and columns."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + side.to_bytes(2, "big") * 2 + data[place + 4 :]


def _jpeg(frame: Frame, quality: int = 95) -> bytes:
    return bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _turned(jpeg: bytes) -> bytes:
    """Add EXIF orientation 3, upside down (CIPA DC-008, tag 0x0112)."""
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 3, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a dataset that is not ours, to see whether anything changed."""
    return {str(path.relative_to(root)): path.read_bytes() for path in _walk(root)}


def _walk(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and ".workbench" not in path.parts:
            yield path
