"""Formats that are written: pictures with their boxes to annotation files. Touches no disk.

Each function takes items in the order of the dataset and yields names with contents. Pictures lie
where `Writer.picture` says; those that nobody has looked at are in no annotation file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from workbench.datasets.formats.coco_writing import coco_pieces
from workbench.datasets.formats.json_text import json_bytes
from workbench.datasets.formats.outgoing import (
    OutBox,
    OutColumns,
    OutItem,
    columns_of,
    rounded,
)
from workbench.datasets.formats.row_text import label_texts
from workbench.errors import ArchiveError
from workbench.persistence.archive import parse_class_list

_AT_ONCE = 1000

Content = bytes | Iterator[bytes]
"""Of a file; in pieces where it may be large."""

Files = Iterator[tuple[str, Content]]


class Writer(NamedTuple):
    """A format that is written.

    Parameters
    ----------
    title : str
    picture : str
        Where pictures lie, as a pattern of split and filename.
    files : callable
        Yields annotation files of items and classes.
    keeps_order : bool
        Whether the order of the classes can be read from it, also of those without boxes; else a
        ``classes.txt`` is written beside it.
    keeps : frozenset of str or None
        What it holds of what boxes carry beyond their place and class; None: all of it.
    """

    title: str
    picture: str
    files: Callable[[Sequence[OutItem], Sequence[str]], Files]
    keeps_order: bool = True
    keeps: frozenset[str] | None = frozenset()


def _attributes(extra: Mapping[str, Any], *but: str) -> dict[str, Any]:
    """Return all that a box carries as plain attributes."""
    named = _mapping(extra.get("attributes"))
    return named | {k: v for k, v in extra.items() if k not in ("attributes", *but)}


def _mapping(value: Any) -> dict[str, Any]:
    """Return what should be a mapping as it came from another tool: empty if it is none."""
    return dict(value) if isinstance(value, Mapping) else {}


def _by_split(items: Sequence[OutItem]) -> Iterator[tuple[str, list[OutItem]]]:
    """Yield the splits that have labelled pictures, with these."""
    for split in ("train", "val", "test"):
        found = [item for item in items if item.split == split and item.boxes is not None]
        if found:
            yield split, found


def class_list(classes: Sequence[str]) -> bytes:
    """Return ``classes.txt``; empty where it would not be read as these classes."""
    text = "".join(f"{name}\n" for name in classes).encode()
    try:
        return text if parse_class_list(text, "")[0] == list(classes) else b""
    except ArchiveError:
        return b""


def yolo(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``data.yaml`` and ``labels/train/a.txt``."""
    names = "".join(f"  {n}: {json.dumps(c, ensure_ascii=False)}\n" for n, c in enumerate(classes))
    text = "train: images/train\nval: images/val\ntest: images/test\n"
    yield "data.yaml", f"{text}names:{' {}' if not classes else ''}\n{names}".encode()
    labelled = [item for item in items if item.boxes is not None]
    for start in range(0, len(labelled), _AT_ONCE):
        some = labelled[start : start + _AT_ONCE]
        found = columns_of(some)
        texts = label_texts(found.class_id, _fractions(found, some), found.counts)
        for item, rows in zip(some, texts, strict=True):
            kept = "".join(f"{row}\n" for row in item.rows).encode() if item.rows else b""
            yield f"labels/{item.split}/{item.stem}.txt", kept or rows


def _fractions(found: OutColumns, items: Sequence[OutItem]) -> npt.NDArray[np.float64]:
    """Return boxes in columns as normalised xywh."""
    sizes = np.array([(item.width, item.height) for item in items], dtype=np.float64)
    size = sizes.reshape(-1, 2)[found.owner]
    low, high = found.corners[:, :2], found.corners[:, 2:]
    return np.concatenate([(low + high) / 2 / size, (high - low) / size], axis=1)


def _yolo_row(box: OutBox, width: int, height: int) -> str:
    x, y = (box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height
    return (
        f"{box.class_id} {x:.8f} {y:.8f} {(box.x1 - box.x0) / width:.8f} "
        f"{(box.y1 - box.y0) / height:.8f}"
    )


def coco(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``annotations/instances_train.json``."""
    for split, found in _by_split(items):
        yield f"annotations/instances_{split}.json", coco_pieces(found, classes)


def voc(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``Annotations/train/a.xml``, ``ImageSets/Main/train.txt``, and ``labelmap.txt`` of CVAT.

    Lists have the folders of pictures, as who reads them puts the ending behind what stands there.
    """
    for item in items:
        if item.boxes is not None:
            yield f"Annotations/{item.split}/{item.stem}.xml", _voc(item, classes)
    for split in ("train", "val", "test"):
        lines = [f"{split}/{item.stem}\n" for item in items if item.split == split]
        if lines:
            yield f"ImageSets/Main/{split}.txt", "".join(lines).encode()
    head = "# label:color_rgb:parts:actions\n"
    yield "labelmap.txt", (head + "".join(f"{name}:::\n" for name in classes)).encode()


def _voc(item: OutItem, classes: Sequence[str]) -> bytes:
    objects = []
    for box in item.boxes or ():
        marks = "".join(
            f"<{tag}>{int(bool(box.extra.get(tag)))}</{tag}>"
            for tag in ("truncated", "difficult", "occluded")
        )
        pose = escape(str(box.extra.get("pose", "Unspecified")))
        corners = "".join(
            f"<{tag}>{rounded(value)}</{tag}>"
            for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box[1:5], strict=True)
        )
        objects.append(
            f"  <object><name>{escape(classes[box.class_id])}</name><pose>{pose}</pose>{marks}"
            f"<bndbox>{corners}</bndbox></object>\n"
        )
    size = f"<width>{item.width}</width><height>{item.height}</height><depth>3</depth>"
    return (
        f"<annotation>\n  <folder>{item.split}</folder>\n"
        f"  <filename>{escape(item.filename)}</filename>\n"
        f"  <source><database>Workbench</database></source>\n"
        f"  <size>{size}</size>\n"
        f"  <segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    ).encode()


def cvat(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``annotations.xml`` of CVAT for images 1.1, with the splits as subsets."""
    labels = "".join(f"<label><name>{escape(c)}</name></label>" for c in classes)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"<meta><task><labels>{labels}</labels></task></meta>\n"
    ]
    for number, item in enumerate(items):
        if item.boxes is None:
            continue
        parts.append(
            f'<image id="{number}" name={quoteattr(f"{item.split}/{item.filename}")} '
            f'subset="{item.split}" width="{item.width}" height="{item.height}">'
        )
        for box in item.boxes:
            attributes = "".join(
                f"<attribute name={quoteattr(str(name))}>{escape(str(value))}</attribute>"
                for name, value in _attributes(box.extra, "occluded").items()
            )
            parts.append(
                f'<box label={quoteattr(classes[box.class_id])} source="manual" '
                f'occluded="{int(bool(box.extra.get("occluded")))}" xtl="{rounded(box.x0)}" '
                f'ytl="{rounded(box.y0)}" xbr="{rounded(box.x1)}" ybr="{rounded(box.y1)}" '
                f'z_order="0">{attributes}</box>'
            )
        parts.append("</image>\n")
    yield "annotations.xml", "".join([*parts, "</annotations>\n"]).encode()


def labelstudio(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``train.json``, a list of tasks in percent."""
    for split, found in _by_split(items):
        tasks = [_task(item, classes, n) for n, item in enumerate(found, start=1)]
        yield f"{split}.json", json_bytes(tasks)


def _task(item: OutItem, classes: Sequence[str], number: int) -> dict[str, Any]:
    results = []
    for box in item.boxes or ():
        left, top = box.x0 / item.width * 100, box.y0 / item.height * 100
        value = {
            "x": left,
            "y": top,
            "width": box.x1 / item.width * 100 - left,
            "height": box.y1 / item.height * 100 - top,
            "rotation": 0,
            "rectanglelabels": [classes[box.class_id]],
        }
        results.append(
            {
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": item.width,
                "original_height": item.height,
                "value": value,
            }
        )
    data = {"image": f"/data/local-files/?d={quote(f'images/{item.split}/{item.filename}')}"}
    return {"id": number, "data": data, "annotations": [{"result": results}]}


def labelme(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``train/a.json``, beside the picture."""
    for item in items:
        if item.boxes is None:
            continue
        shapes = [
            {
                **{k: v for k, v in box.extra.items() if k in _LABELME_KEYS - {"flags"}},
                "label": classes[box.class_id],
                "points": [[rounded(box.x0), rounded(box.y0)], [rounded(box.x1), rounded(box.y1)]],
                "shape_type": "rectangle",
                "flags": _mapping(box.extra.get("flags")),
            }
            for box in item.boxes
        ]
        content: dict[str, Any] = {
            "version": "5.4.1",
            "flags": {},
            "shapes": shapes,
            "imagePath": item.filename,
            "imageData": None,
            "imageHeight": item.height,
            "imageWidth": item.width,
        }
        yield f"{item.split}/{item.stem}.json", json_bytes(content)


_LABELME_KEYS = frozenset({"group_id", "difficult", "score", "attributes", "description", "flags"})
_VOC_KEYS = frozenset({"difficult", "truncated", "occluded", "pose"})


def createml(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``train/_annotations.createml.json``."""
    for split, found in _by_split(items):
        listed = []
        for item in found:
            rows = []
            for box in item.boxes or ():
                centre = {"x": (box.x0 + box.x1) / 2, "y": (box.y0 + box.y1) / 2}
                size = {"width": box.x1 - box.x0, "height": box.y1 - box.y0}
                place = {key: rounded(value) for key, value in (centre | size).items()}
                rows.append({"label": classes[box.class_id], "coordinates": place})
            listed.append({"image": item.filename, "annotations": rows})
        yield f"{split}/_annotations.createml.json", json_bytes(listed)


def table(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``train/_annotations.csv`` with TensorFlow's columns, which are empty where nothing is."""
    for split, found in _by_split(items):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"))
        for item in found:
            for box in item.boxes or ():
                corners = (rounded(value) for value in box[1:5])
                size = (item.width, item.height)
                writer.writerow((item.filename, *size, classes[box.class_id], *corners))
            if not item.boxes:
                writer.writerow((item.filename, item.width, item.height, "", "", "", "", ""))
        yield f"{split}/_annotations.csv", text.getvalue().encode()


def ndjson(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``dataset.ndjson`` as Ultralytics reads it: pictures are in ``images/SPLIT`` below `path`."""
    names = {str(n): name for n, name in enumerate(classes)}
    lines = [json_bytes({"type": "dataset", "task": "detect", "path": ".", "class_names": names})]
    for item in items:
        if item.boxes is None:
            continue
        boxes = []
        for box in item.boxes:
            parts = _yolo_row(box, item.width, item.height).split()
            boxes.append([box.class_id, *map(float, parts[1:])])
        lines.append(
            json_bytes(
                {
                    "type": "image",
                    "file": item.filename,
                    "split": item.split,
                    "width": item.width,
                    "height": item.height,
                    "annotations": {"boxes": boxes},
                }
            )
        )
    yield "dataset.ndjson", b"\n".join([*lines, b""])


def datumaro(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``annotations/train.json``."""
    labels = {"labels": [{"name": c, "parent": "", "attributes": []} for c in classes]}
    for split, found in _by_split(items):
        listed = []
        for item in found:
            rows = [
                {
                    "id": n,
                    "type": "bbox",
                    "label_id": box.class_id,
                    "bbox": box.xywh,
                    "attributes": _attributes(box.extra),
                    "group": 0,
                    "z_order": 0,
                }
                for n, box in enumerate(item.boxes or ())
            ]
            image = {"path": item.filename, "size": [item.height, item.width]}
            listed.append({"id": item.stem, "annotations": rows, "image": image})
        content = {"info": {}, "categories": {"label": labels}, "items": listed}
        yield f"annotations/{split}.json", json_bytes(content)


def imagefolder(items: Sequence[OutItem], classes: Sequence[str]) -> Files:
    """``train/metadata.jsonl``, as the ``imagefolder`` of Hugging Face's datasets reads it."""
    for split in ("train", "val", "test"):
        lines = []
        for item in (item for item in items if item.split == split):
            boxes = item.boxes
            objects = None if boxes is None else {
                "bbox": [box.xywh for box in boxes],
                "categories": [classes[box.class_id] for box in boxes],
            }  # fmt: skip
            line = {"file_name": item.filename, "width": item.width, "height": item.height}
            lines.append(json_bytes(line | {"objects": objects}))
        if lines:
            yield f"{split}/metadata.jsonl", b"\n".join([*lines, b""])


WRITERS = {
    "yolo": Writer("YOLO", "images/{split}/{filename}", yolo),
    "coco": Writer("COCO", "images/{split}/{filename}", coco, keeps=None),
    "voc": Writer("Pascal VOC", "JPEGImages/{split}/{filename}", voc, keeps=_VOC_KEYS),
    "cvat": Writer("CVAT for images", "images/{split}/{filename}", cvat, keeps=None),
    "labelstudio": Writer("Label Studio", "images/{split}/{filename}", labelstudio, False),
    "labelme": Writer("LabelMe", "{split}/{filename}", labelme, False, _LABELME_KEYS),
    "createml": Writer("CreateML", "{split}/{filename}", createml, False),
    "csv": Writer("CSV", "{split}/{filename}", table, False),
    "ndjson": Writer("Ultralytics NDJSON", "images/{split}/{filename}", ndjson),
    "datumaro": Writer("Datumaro", "images/{split}/{filename}", datumaro, keeps=None),
    "imagefolder": Writer("Hugging Face imagefolder", "{split}/{filename}", imagefolder, False),
}
"""By the name of the format. A new one is a function and a line."""
