"""What we write is read by datumaro as we read it, and what it reads of others is what we read.

datumaro pins releases of libraries that the project cannot go back to, so it is no dependency.
Where it stands in an environment of its own, ``WORKBENCH_PEERS_PYTHON`` names the Python of that,
such as the one that ``benchmarks/formats.py --install FOLDER`` makes: ``FOLDER/bin/python``.
Elsewhere these are skipped.

Known to differ: of CVAT's pictures that name a subset, datumaro takes those whose subset is called
as the file is. A file of VOC that says that it is of the challenge counts pixels from 1 here, and
not there; no file here says so.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.formats.making import coco, folder, picture, voc, voc_object
from workbench import export, import_dataset
from workbench.persistence import Stores
from workbench.persistence.models import DatasetInfo

PEER = os.environ.get("WORKBENCH_PEERS_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not PEER, reason="datumaro: WORKBENCH_PEERS_PYTHON names no Python that has it"
)

_SCRIPT = """
import json, sys
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

found = Dataset.import_from(sys.argv[1], sys.argv[2])
names = [label.name for label in found.categories()[AnnotationType.label]]
items = {
    item.id.rpartition("/")[2]: [
        [names[a.label], a.x, a.y, a.w, a.h]
        for a in item.annotations
        if a.type == AnnotationType.bbox
    ]
    for item in found
}
print("\\n" + json.dumps(items))
"""

Boxes = dict[str, list[tuple[Any, ...]]]

SIZE = (400, 300)
CLASSES = ("cat", "dog", "red fox")


def _by_datumaro(root: Path, kind: str) -> Boxes:
    done = subprocess.run(
        [PEER, "-c", _SCRIPT, str(root), kind],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    items: dict[str, list[Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return {name: [tuple(box) for box in boxes] for name, boxes in items.items()}


def _ours(info: DatasetInfo) -> Boxes:
    """Boxes in pixels, by the stem of the picture, out of the label files."""
    return {
        path.stem: [
            (
                info.classes[int(kind)],
                *((float(x) - float(w) / 2) * SIZE[0], (float(y) - float(h) / 2) * SIZE[1]),
                *(float(w) * SIZE[0], float(h) * SIZE[1]),
            )
            for kind, x, y, w, h in (row.split() for row in path.read_text().splitlines())
        ]
        for path in (info.path / "labels").rglob("*.txt")
    }


def _same(one: Boxes, other: Boxes) -> None:
    assert one.keys() == other.keys()
    for name, boxes in one.items():
        pairs = zip(sorted(boxes), sorted(other[name]), strict=True)
        for (kind, *sides), (other_kind, *other_sides) in pairs:
            assert kind == other_kind
            assert np.allclose(sides, other_sides, atol=0.01), (name, sides, other_sides)


def _boxes(seed: int) -> list[tuple[str, int, int, int, int]]:
    chance = np.random.default_rng(seed)
    return [
        (
            CLASSES[chance.integers(3)],
            x,
            y,
            int(chance.integers(5, 90)),
            int(chance.integers(5, 90)),
        )
        for x, y in zip(chance.permutation(300)[:6].tolist(), range(10, 190, 30), strict=True)
    ]


def _voc_set(root: Path) -> Path:
    pictures = {f"p{n}": _boxes(n) for n in range(6)}
    files: dict[str, Any] = {f"JPEGImages/{name}.jpg": picture(*SIZE) for name in pictures}
    files |= {
        f"Annotations/{name}.xml": voc(
            "".join(voc_object(kind, (x, y, x + w, y + h)) for kind, x, y, w, h in boxes),
            SIZE,
            f"{name}.jpg",
        )
        for name, boxes in pictures.items()
    }
    files["ImageSets/Main/train.txt"] = "".join(f"{name}\n" for name in pictures)
    files["labelmap.txt"] = "".join(f"{name}:::\n" for name in CLASSES)
    return folder(root, files)


def _coco_set(root: Path) -> Path:
    names = tuple(f"p{n}.jpg" for n in range(6))
    rows = [
        {"image_id": n + 1, "category_id": CLASSES.index(kind) + 1, "bbox": [x, y, w, h],
         "area": w * h, "segmentation": []}
        for n in range(6)
        for kind, x, y, w, h in _boxes(n)
    ]  # fmt: skip
    content = coco(*rows, names=names)
    content["categories"] = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    for image in content["images"]:
        image["width"], image["height"] = SIZE
    files: dict[str, Any] = {f"images/train/{name}": picture(*SIZE) for name in names}
    return folder(root, {**files, "annotations/instances_train.json": content})


@pytest.mark.parametrize(("kind", "make"), [("voc", _voc_set), ("coco", _coco_set)])
async def test_both_read_the_same(
    kind: str, make: Any, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = make(tmp_path / "in" / "set")
    _same(_ours(await import_dataset(persistence_stores, source)), _by_datumaro(source, kind))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("coco", "coco"),
        ("voc", "voc"),
        ("yolo", "yolo"),
        ("cvat", "cvat"),
        ("datumaro", "datumaro"),
    ],
)
async def test_it_reads_what_we_write(
    ours: str, theirs: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    info = await import_dataset(persistence_stores, _voc_set(tmp_path / "in" / "set"), "set")
    await export(persistence_stores, "set", format=ours, to=tmp_path / "out")
    if ours == "cvat":
        path = tmp_path / "out" / "annotations.xml"
        path.write_text(path.read_text().replace(' subset="train"', ""))
    _same(_ours(info), _by_datumaro(tmp_path / "out", theirs))
