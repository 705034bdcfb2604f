"""Small files that would cost much: time and memory of each beside an innocent one.

Each file is made and handed to its reader in a process of its own, whose memory above what it
took before is measured; beside it, in the same run, an innocent file of about the same size.

``--check`` exits with 1 if a hostile file takes more than 300 MB above idle, or more than
twenty times as long as the innocent one (and more than two seconds). ``--quick`` takes files of
a quarter of the size where that is possible.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MEGABYTES = 300
RATIO = 20.0
SECONDS = 2.0
LIMIT_SECONDS = 300
MB = 2**20

Make = Callable[[int], bytes]
Read = Callable[[bytes], object]


class Case(NamedTuple):
    """A reader, and makers of two files for it that take a size in bytes."""

    read: Read
    hostile: Make
    innocent: Make
    size: int


class Measured(NamedTuple):
    """What a file cost: seconds, megabytes above idle, its size, and what came of it."""

    seconds: float
    megabytes: float
    size: int
    outcome: str


# --- files --------------------------------------------------------------------------------


def _repeated(piece: bytes) -> Make:
    return lambda size: piece * (size // len(piece))


def _json_list(item: bytes) -> Make:
    return lambda size: b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def _names(numbered: bool) -> Make:
    def make(size: int) -> bytes:
        return (
            b"names: [" + b", ".join(b"n%d" % (i if numbered else 0) for i in range(9_999)) + b"]"
        )

    return make


def _long_names(size: int) -> bytes:
    return b"names: [" + b", ".join(b"name%085d" % i for i in range(9_999)) + b"]"


def _laughs(size: int) -> bytes:
    rows = [b"x0: &x0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    rows += [b"x%d: &x%d [%s]" % (i, i, b", ".join([b"*x%d" % (i - 1)] * 9)) for i in range(1, 12)]
    return b"\n".join([*rows, b"names: [cat]"])


def _png(side: int, depth: int = 8) -> Make:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    def make(size: int) -> bytes:
        packer, row = zlib.compressobj(1), bytes(1 + (side * depth + 7) // 8)
        pixels = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()
        head = struct.pack(">IIBBBBB", side, side, depth, 0, 0, 0, 0)
        parts = chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    return make


def _photo(size: int) -> bytes:
    """Return a noisy PNG of about so many bytes."""
    import cv2
    import numpy as np

    side = max(int((size / 3) ** 0.5), 8)
    noise = np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


def _jpeg_with(piece: bytes) -> Make:
    return lambda size: b"\xff\xd8" + piece * (size // len(piece))


def _jpeg(size: int) -> bytes:
    import cv2
    import numpy as np

    side = max(int((size / 2) ** 0.5), 8)
    noise = np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def _version(body: Callable[[int], bytes]) -> Make:
    head = {
        "name": "v",
        "created_at": "2026-01-01T00:00:00+00:00",
        "note": "",
        "automatic": False,
        "classes": ["cat"],
        "num_images": {"train": 0, "val": 0, "test": 0},
        "num_labelled": {"train": 0, "val": 0, "test": 0},
        "digest": "",
    }
    return lambda size: json.dumps(head).encode() + b"\n" + zlib.compress(body(size), 1)


def _version_body(size: int) -> bytes:
    rng = random.Random(1)
    images = [
        ["train", f"{i:08d}.jpg", f"{rng.getrandbits(256):064x}", 12_345, "0 0.5 0.5 0.2 0.2\n"]
        for i in range(size // 70)
    ]
    body = {"extra": {}, "prompts": {}, "tags": {}, "trash": {}, "images": images}
    return json.dumps(body).encode()


def _zip(content: bytes, members: int) -> Make:
    def make(size: int) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(members):
                archive.writestr(f"images/train/{number}.jpg", content)
        return file.getvalue()

    return make


def _coco(size: int) -> bytes:
    count = size // 90
    return json.dumps(
        {
            "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(count // 10)],
            "categories": [{"id": 1, "name": "cup"}],
            "annotations": [
                {"id": i, "image_id": i // 10, "category_id": 1, "bbox": [1, 2, 3, 4]}
                for i in range(count)
            ],
        }
    ).encode()


# --- readers ------------------------------------------------------------------------------


def _read_yaml(data: bytes) -> object:
    from workbench.persistence.archive.data_yaml import parse_data_yaml

    return parse_data_yaml(data, "data.yaml")


def _read_moved_yaml(data: bytes) -> object:
    from workbench.persistence.yolo.data_yaml import parse

    return parse(data, "data.yaml").revision


def _read_header(data: bytes) -> object:
    from workbench.persistence.rules import image_size

    return image_size(data, "x")


def _look_at(data: bytes) -> object:
    """Do what Health, the gallery and an upload do with a picture."""
    from workbench.datasets.image_facts import examine
    from workbench.datasets.thumbnails import decode_reduced
    from workbench.persistence.rules import check_decodes, image_size

    state = examine([data])["state"].tolist()
    size = image_size(data, "x")
    decode_reduced(data, "x", max(size) / 200)
    check_decodes(data, "x")
    return size, state


def _read_labels(data: bytes) -> object:
    from workbench.persistence.storage.local.open_folder import OpenFolder
    from workbench.persistence.stores.label_inspection import report_all
    from workbench.persistence.yolo.data_yaml import DataYaml
    from workbench.persistence.yolo.label_table import parse_many

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_bytes(data)
        with OpenFolder(folder) as opened:
            contents = opened.read_all(["a.txt"])
    list(report_all([("train", "a.jpg")], contents, DataYaml(["cat"])))
    return len(parse_many(contents, ["a.txt"], 1).problems)


def _read_history(data: bytes) -> object:
    from workbench.persistence.history import parse_records
    from workbench.persistence.sources import parse_sources

    return len(parse_records(data)), len(parse_sources(data))


def _read_tags(data: bytes) -> object:
    from workbench.persistence.tags import tags_from

    return len(tags_from(data, "tags.json"))


def _read_version(data: bytes) -> object:
    import workbench.persistence.stores.datasets  # noqa: F401, before what it needs itself
    from workbench.persistence.version_bytes import from_bytes

    return len(from_bytes(data, "v.version")[1].images)


def _read_zip(data: bytes) -> object:
    from workbench.persistence.archive import Archive

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data)
        with Archive.open(path) as archive:
            return sum(len(chunk) for m in archive.members for chunk in archive.chunks(m))


def _read_class_list(data: bytes) -> object:
    from workbench.persistence.archive.data_yaml import parse_class_list

    return len(parse_class_list(data, "classes.txt")[0])


def _read_split_list(data: bytes) -> object:
    from workbench.persistence.archive.split_lists import find_splits

    images = [f"images/{number}.jpg" for number in range(1_000)]
    names = ["train.txt", "val.txt", *images]
    return len(find_splits(names, images, lambda _: data).splits)


def _import(name: str) -> Read:
    def read(data: bytes) -> object:
        from workbench.datasets.formats.items import Options
        from workbench.datasets.formats.registry import READERS
        from workbench.datasets.formats.view import FolderView

        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.jpg").write_bytes(_jpeg(1_000))
            Path(folder, name).write_bytes(data)
            view = FolderView.open(folder)
            found = 0
            for reader in READERS.values():
                detection = reader.detect(view)
                if detection.confidence > 0:
                    found += len(list(reader.read(view, detection, Options()).records))
            return found

    return read


def _upload(data: bytes) -> object:
    """Upload from three pages, of which none finishes."""
    from workbench.panels.shared.uploads import Uploads

    uploads = Uploads()
    for page in range(3):
        for offset in range(0, len(data), MB):
            message = {
                "session": f"page {page}",
                "batch": 1,
                "split": "train",
                "index": 0,
                "files": 1,
                "name": "a.jpg",
                "size": len(data) + 1,
                "offset": offset,
            }
            uploads.take(message, data[offset : offset + MB])
    uploads.clear()
    return "three unfinished uploads"


_ROWS = _repeated(b"0 0.50000000 0.50000000 0.20000000 0.20000000\n")
_EDIT = (
    b'\n{"at": "2025-03-01T12:00:00+00:00", "id": "9f", "image": "train/a.jpg", '
    b'"before": "0 0.5 0.5 0.2 0.2\\n", "after": null}'
)
_VOC = (
    b"<object><name>cup</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
    b"</bndbox></object>"
)


def _voc(piece: bytes) -> Make:
    return lambda s: b"<annotation>" + piece * (s // len(piece)) + b"</annotation>"


CASES = {
    "data.yaml, equal names": Case(_read_yaml, _names(False), _names(True), 0),
    "data.yaml, aliases": Case(_read_moved_yaml, _laughs, lambda _: b"names: [cat]\n" * 1, 0),
    "data.yaml, small things": Case(
        _read_moved_yaml,
        lambda s: b"names: [" + b"a," * (s // 2) + b"]",
        lambda s: b"names: [" + b", ".join(b"%090d" % i for i in range(9_999)) + b"]",
        MB - 100,
    ),
    "class list, empty lines": Case(
        _read_class_list, lambda s: b"a" + b"\n" * (s - 2) + b"b", _repeated(b"cat\n"), MB
    ),
    "PNG header, 900 million pixels": Case(_read_header, _png(30_000), _photo, 4 * MB),
    "PNG looked at, 900 million": Case(_look_at, _png(30_000), _photo, 4 * MB),
    "PNG looked at, 98 million": Case(_look_at, _png(9_900), _photo, 40 * MB),
    "JPEG, fill bytes": Case(_read_header, _jpeg_with(b"\xff"), _jpeg, 20 * MB),
    "JPEG, empty segments": Case(_read_header, _jpeg_with(b"\xff\xe0\0\x02"), _jpeg, 20 * MB),
    "JPEG, restart markers": Case(
        _look_at, _jpeg_with(b"\xff\xda\0\x02" + b"\xff\xd0" * 5_000), _jpeg, 20 * MB
    ),
    "labels, one row of 12 MB": Case(_read_labels, _repeated(b"0.5 "), _ROWS, 12 * MB),
    "labels, one row of 100 MB": Case(_read_labels, _repeated(b"0.5 "), _ROWS, 100 * MB),
    "labels, empty rows": Case(_read_labels, _repeated(b"\r"), _ROWS, 12 * MB),
    "labels, one letter": Case(_read_labels, _repeated(b"x "), _ROWS, 12 * MB),
    "history and sources, brackets": Case(_read_history, _repeated(b"["), _repeated(_EDIT), 8 * MB),
    "history and sources, empty lists": Case(
        _read_history,
        lambda s: b'{"at": ' + b"[" + b"[]," * (s // 3) + b"0]}",
        _repeated(_EDIT),
        8 * MB,
    ),
    "history and sources, short lines": Case(
        _read_history, _repeated(b"\n1"), _repeated(_EDIT), 8 * MB
    ),
    "tags, empty lists": Case(
        _read_tags,
        lambda s: b'{"a": ' + _json_list(b"[]")(s) + b"}",
        lambda s: b'{"a": ' + _json_list(b'"some image of mine.jpg"')(s) + b"}",
        20 * MB,
    ),
    "version, a bomb": Case(
        _read_version, _version(lambda s: bytes(s * 200)), _version(_version_body), MB
    ),
    "version, empty lists": Case(
        _read_version, _version(lambda s: _json_list(b"[]")(s * 30)), _version(_version_body), MB
    ),
    "zip, a bomb": Case(_read_zip, _zip(bytes(50 * MB), 20), _zip(os.urandom(MB), 8), 0),
    "zip, many members": Case(_read_zip, _zip(b"", 60_000), _zip(b"some bytes", 60_000), 0),
    "split list, no such images": Case(
        _read_split_list,
        _repeated(b"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/none.jpg\n"),
        _repeated(b"images/17.jpg\n"),
        8 * MB,
    ),
    "COCO, empty lists": Case(
        _import("a.json"),
        lambda s: b'{"images": ' + _json_list(b"[]")(s) + b', "annotations": []}',
        _coco,
        8 * MB,
    ),
    "COCO, brackets": Case(_import("a.json"), lambda s: b'{"images": [' + b"[" * s, _coco, 8 * MB),
    "VOC, empty elements": Case(_import("a.xml"), _voc(b"<a/>"), _voc(_VOC), 4 * MB),
    "VOC, nested elements": Case(_import("a.xml"), _repeated(b"<a>"), _voc(_VOC), 4 * MB),
    "uploads, unfinished": Case(_upload, lambda s: bytes(s), lambda s: bytes(s), 200 * MB),
}


# --- measuring ----------------------------------------------------------------------------


def _child(name: str, kind: str, quick: bool) -> None:
    """Make a file, read it, and print what that cost."""
    case = CASES[name]
    from workbench.errors import WorkbenchError

    size = case.size // 4 if quick else case.size
    data = (case.hostile if kind == "hostile" else case.innocent)(size)
    with contextlib.suppress(WorkbenchError, ValueError):  # to import what the reader imports
        case.read(b"x")
    _forget_peak()
    before = _peak()
    start = time.perf_counter()
    try:
        outcome = f"read: {case.read(data)!r}"
    except WorkbenchError as error:
        outcome = f"refused: {error}"
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, max(_peak() - before, 0) / 2**20, len(data), outcome[:200]]))


def _forget_peak() -> None:
    """Let the peak begin anew: making the file may have taken more than reading it will."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(name: str, kind: str, quick: bool) -> Measured:
    """Measure one file in a process of its own."""
    command = [sys.executable, __file__, "--child", name, kind, *(["--quick"] if quick else [])]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=LIMIT_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return Measured(LIMIT_SECONDS, float("inf"), 0, "did not end")
    if done.returncode:
        return Measured(float("inf"), float("inf"), 0, done.stderr.decode()[-300:])
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> int:
    """Measure all, print a table; return 1 if a bound is missed and that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="cases whose names begin so")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        _child(*chosen.child, chosen.quick)
        return 0
    missed = []
    print(f"{'':36}{'size':>9}{'time':>9}{'memory':>9}   innocent, times")
    for name in (name for name in CASES if name.startswith(chosen.only)):
        hostile = measure(name, "hostile", chosen.quick)
        innocent = measure(name, "innocent", chosen.quick)
        ratio = hostile.seconds / max(innocent.seconds, 1e-6)
        slow = hostile.seconds > SECONDS and ratio > RATIO
        bad = slow or hostile.megabytes > MEGABYTES
        print(
            f"{name:36}{hostile.size / 1e6:6.1f} MB{hostile.seconds:7.2f} s"
            f"{hostile.megabytes:6.0f} MB   {innocent.size / 1e6:.1f} MB "
            f"{innocent.seconds:.2f} s {innocent.megabytes:.0f} MB, {ratio:.1f}x"
            f"{'   MISSED' if bad else ''}\n    {hostile.outcome[:150]}",
            flush=True,
        )
        missed += [name] * bad
    print(f"{len(CASES)} kinds; missed: {', '.join(missed) or 'none'}")
    return int(chosen.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
