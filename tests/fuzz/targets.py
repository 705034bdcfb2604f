"""The readers, each as a function of bytes that returns, or raises an error of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

from tests.helpers.pictures import jpeg
from workbench.datasets.columns import unpack
from workbench.datasets.formats.codecs import pictures_in
from workbench.datasets.formats.items import Options
from workbench.datasets.formats.registry import READERS
from workbench.datasets.formats.view import FolderView
from workbench.datasets.image_facts import jpeg_end, sniff
from workbench.datasets.query import parse_query
from workbench.datasets.query_parsing import word_before
from workbench.errors import InvalidModelError, WorkbenchError
from workbench.panels.annotate.messages import Edit
from workbench.panels.browse.listing import checked_ranges
from workbench.persistence.archive import Archive, plan_layout
from workbench.persistence.archive.data_yaml import (
    parse_class_list,
    parse_data_yaml,
    parse_split_paths,
)
from workbench.persistence.archive.importer import import_archive
from workbench.persistence.archive.metadata import CHECKS, problem_with
from workbench.persistence.archive.split_lists import find_splits
from workbench.persistence.disk_format import format_of
from workbench.persistence.history import parse_records, parse_records_about
from workbench.persistence.image_bounds import VARIABLE, require_decodable
from workbench.persistence.image_header import read_header
from workbench.persistence.prompts import prompts_from
from workbench.persistence.rules import image_size
from workbench.persistence.sources import current_sources, parse_sources
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.local.plans import checked
from workbench.persistence.stored_json import loads, parse_json
from workbench.persistence.stores.label_inspection import report_all
from workbench.persistence.stores.layouts import DATASET, MODELS
from workbench.persistence.stores.models import ModelStore
from workbench.persistence.suggestion_blocks import parse_blocks
from workbench.persistence.suggestions import current_suggestions
from workbench.persistence.tags import tags_from
from workbench.persistence.version_bytes import from_bytes
from workbench.persistence.versions import plan_restoration
from workbench.persistence.yolo.data_yaml import DataYaml, parse
from workbench.persistence.yolo.label_rows import map_classes, with_present_classes
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import parse_labels
from workbench.persistence.yolo.yaml_text import rewritten
from workbench.training.events import parse_event
from workbench.weights.facts import facts_of
from workbench.weights.meaning import Meaning
from workbench.weights.program import Program, ProgramError

Target = Callable[[bytes], None]

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target, with a few small files that it is to begin with."""

_PICTURE = jpeg(1, 12, 16)
_IMAGES = ["images/train/a.jpg", "images/b.png", "c.jpg"]


def label_text(data: bytes) -> None:
    yaml = DataYaml(["cat", "dog"], {})
    alone: list[object] = []
    with contextlib.suppress(WorkbenchError):
        alone = [*parse_labels(data, "x.txt", 2).annotations]
        map_classes(data, {0: 1, 1: None})
    bulk = parse_many([data, b"0 0.5 0.5 0.1 0.1\n"], ["x.txt", "y.txt"], 2)
    assert len(bulk.class_id) == len(alone) + 1, "the quick reader and the careful one differ"
    list(report_all([("train", "x.jpg")], [data], yaml))
    parse_labels(data, "x.txt", 2, keypoints=True)


def data_yaml(data: bytes) -> None:
    parse_split_paths(data)
    with contextlib.suppress(WorkbenchError):
        parse_data_yaml(data, "data.yaml")
    old = parse(data, "data.yaml")
    new = DataYaml([*old.classes, "one more"], old.extra)
    again = parse(rewritten(data, new), "data.yaml")
    assert again.classes == new.classes, "a rewritten file says something else"
    _ = old.revision


def class_list(data: bytes) -> None:
    parse_class_list(data, "classes.txt")


def split_list(data: bytes) -> None:
    for described in (["data.yaml"], ["obj.data", "list.txt"], ["train.txt", "val.txt"]):
        names = [*described, *_IMAGES]
        plan_layout(names, find_splits(names, _IMAGES, lambda _: data))


def _read_all(data: bytes, *names: str) -> None:
    """Let every format read a file beside a picture; what one refuses, another may take."""
    folder = Path(_folder.name, f"export-{os.getpid()}")
    folder.mkdir(exist_ok=True)
    (folder / "a.jpg").write_bytes(_PICTURE)
    refusal: WorkbenchError | None = None
    for name in names:
        (folder / name).write_bytes(data)
        view = FolderView.open(folder)
        try:
            for reader in READERS.values():
                try:
                    detection = reader.detect(view)
                    if detection.confidence > 0:
                        list(reader.read(view, detection, Options()).records)
                except WorkbenchError as error:
                    refusal = error
        finally:
            view.close()
            (folder / name).unlink()
    if refusal is not None:
        raise refusal


def formats_json(data: bytes) -> None:
    _read_all(data, "a.json")


def formats_xml(data: bytes) -> None:
    _read_all(data, "a.xml")


def formats_text(data: bytes) -> None:
    _read_all(data, "a.txt", "labels.csv", "labels.ndjson", "metadata.jsonl")


def codecs(data: bytes) -> None:
    with patch.dict(os.environ, {VARIABLE: "200000"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about damaged files
        for picture in pictures_in(data, "a.bin"):
            if picture.ndim not in (2, 3) or not picture.size:
                raise AssertionError("a picture without pixels")


class _Nowhere:
    """A sink that drops everything."""

    def write(self, relative_path: str, data: bytes) -> None:
        """Drop a file."""

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """Drop a file, after reading it."""
        for _ in chunks:
            pass


_folder = tempfile.TemporaryDirectory(prefix="workbench-fuzz-")


def _file(data: bytes) -> Path:
    path = Path(_folder.name, f"{os.getpid()}.zip")
    path.write_bytes(data)
    return path


def zip_reader(data: bytes) -> None:
    path = _file(data)
    with Archive.open(path) as archive:
        for member in archive.members:
            with contextlib.suppress(WorkbenchError):
                archive.read(member)
            with contextlib.suppress(WorkbenchError):
                list(archive.chunks(member))
    import_archive(path, _Nowhere())


def image_header(data: bytes) -> None:
    sniff(data)
    jpeg_end(data)
    from_head = read_header(data[:4096])
    size = image_size(data, "x")
    assert min(size) > 0, "a picture without pixels"
    assert from_head is None or len(data) > 4096 or from_head.shown == size
    require_decodable(data, "x")


def exif(data: bytes) -> None:
    """The bytes as the EXIF block of a JPEG, a PNG and a WebP, and as a TIFF."""
    block = b"Exif\0\0" + data[:65_000]
    frame = b"\xff\xc0\0\x0b\x08\0\x09\0\x07\x01\x01\x11\0"
    jpeg = b"\xff\xd8\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + frame
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\7\0\0\0\x09\x08\0\0\0\0" + bytes(4)
    png += len(data).to_bytes(4, "big") + b"eXIf" + data + bytes(4) + b"\0\0\0\0IDAT" + bytes(4)
    webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\6\0\0\x08\0\0EXIF"
    for picture in (jpeg, png, webp + len(data).to_bytes(4, "little") + data):
        width, height = sorted(image_size(picture, "x"))
        assert (width, height) == (7, 9)
    image_size(b"II*\0" + data, "x")


def model_json(data: bytes) -> None:
    folder = Path(_folder.name, f"models-{os.getpid()}")
    (folder / "m").mkdir(parents=True, exist_ok=True)
    (folder / "m" / "weights.pt").touch()
    (folder / "m" / "model.json").write_bytes(data)
    asyncio.run(ModelStore(LocalStorage(str(folder), MODELS)).get("m"))


def hidden_json(data: bytes) -> None:
    format_of(data)
    for path in CHECKS:
        problem_with(path, data)
    for read in (tags_from, prompts_from):
        with contextlib.suppress(WorkbenchError):
            read(data, "x.json")
    unpack("kind", data)
    checked(parse_json(data, "plan.json", "a plan"), "1", DATASET)


def version_file(data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    with contextlib.suppress(WorkbenchError):
        from_bytes(data, "v.version")
    _, contents = from_bytes(head + b"\n" + zlib.compress(body), "v.version")
    plan_restoration(contents, contents)


def history(data: bytes) -> None:
    with_present_classes(parse_records(data))
    parse_records_about(reversed(data.split(b"\n")), "train", "a.jpg")


def sources(data: bytes) -> None:
    current_sources(parse_sources(data), parse_records(data), {("train", "a.jpg")})


def suggestions(data: bytes) -> None:
    blocks = parse_blocks(data, "x.bin")
    current_suggestions(blocks, parse_records(data), {("train", "a.jpg")}).of("train", "a.jpg")


def events(data: bytes) -> None:
    for line in data.decode("utf-8", "replace").splitlines():
        parse_event(line)


def messages(data: bytes) -> None:
    try:
        message = loads(data)
    except ValueError:
        return  # the server that hands messages on takes JSON only
    if isinstance(message, dict):
        with contextlib.suppress(ValueError):
            checked_ranges(message.get("ranges", []), 10)
        Edit.from_message(message)


def weights(data: bytes) -> None:
    """The bytes as the pickle of a weights file, which nothing ever runs."""
    try:
        program = Program(data)
    except ProgramError as error:
        raise InvalidModelError(str(error)) from error
    if not program.unknown:
        json.dumps(facts_of(program.result, "w.pt"))
        meaning = Meaning(program.result, "w.pt")
        json.dumps([meaning.nodes, meaning.root])


def query(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    word_before(text, len(text) // 2)
    parse_query(text)


TARGETS: dict[str, Target] = {
    "class_list": class_list,
    "codecs": codecs,
    "data_yaml": data_yaml,
    "events": events,
    "exif": exif,
    "formats_json": formats_json,
    "formats_text": formats_text,
    "formats_xml": formats_xml,
    "hidden_json": hidden_json,
    "history": history,
    "image_header": image_header,
    "label_text": label_text,
    "messages": messages,
    "model_json": model_json,
    "query": query,
    "sources": sources,
    "split_list": split_list,
    "suggestions": suggestions,
    "version_file": version_file,
    "weights": weights,
    "zip_reader": zip_reader,
}
"""Every reader, by name."""


def run(name: str, data: bytes) -> bool:
    """Give bytes to a reader; return whether it took them, False for an error of ours."""
    try:
        TARGETS[name](data)
    except WorkbenchError as error:
        if len(str(error)) > _LONGEST_MESSAGE:
            raise AssertionError("a message that nobody can read") from error
        return False
    return True


_LONGEST_MESSAGE = 20_000
