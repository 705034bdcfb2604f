"""What something is: formats told apart by what is in the files, and files that are none."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.file_names import VIDEOS, extension, hidden
from workbench.datasets.formats.items import Detection
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.registry import READERS, making_sense
from workbench.datasets.formats.tar import is_archive
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError, ImportFormatError
from workbench.persistence.archive.directory import fold

_log = logging.getLogger(__name__)
_TALKS_OF_BOXES = re.compile(
    rb"bbox|gtbox|bndbox|bounding.?box|polygon|annotation|xmin|x_min|points|\"label|<label|segmentation"
    rb"|objects?\"|regions?\"|tag_?name|\"x_?1\"|\"left\"|rectangle|left_col|prediction.?string|x_?cent|cent..?_?x|encoded.?pixels|<loc_?\d"
    rb"|(?:^|[,;\t])\"?x\"?[,;\t] ?\"?y\"?[,;\t]",
    re.IGNORECASE,
)
_URL_LINE = re.compile(rb"^\s*\"?(?:https?|s3|gs)://\S+", re.IGNORECASE)
_ASKED_EXTENSIONS = frozenset({".json", ".xml", ".csv", ".tsv", ".ndjson", ".jsonl", ".odgt"})
_TEXTS = _ASKED_EXTENSIONS | {".txt", ".manifest", ".lst", ".dat", ".idl", ".ann", ".tab"}
_PICTURE = re.compile(rb"\w\.(?:jpe?g|png|bmp|tiff?|webp|ppm)\b", re.IGNORECASE)
_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
_LINES = 200
_LOOKED_AT = 20
_CORNERS = 4
_NUMBERS_ALONE = re.compile(rb"[\s,;]*(?:-?\d+(?:\.\d+)?[\s,;]+){3,}-?\d+(?:\.\d+)?[\s,;]*")
_BESIDE_NAMES = re.compile(
    r"^(?:gt|res|poly|label|bbox)[_-]|[_-](?:gt|bbox|bboxes|boxes|labels?|ann|annotations?)$"
)
_JSON_BEGINS = re.compile(rb"\s*(?:\{\s*\"|\[\s*\{)")
_BINARY = frozenset(
    {
        *(".parquet", ".mat", ".h5", ".hdf5", ".arrow", ".feather", ".lmdb", ".mdb"),
        *(".xlsx", ".xls", ".ods", ".db", ".sqlite", ".sqlite3"),
        *(".pkl", ".pickle", ".npz"),
    }
)
_PACKED = {
    **dict.fromkeys((".parquet", ".arrow", ".feather"), "Parquet or Arrow"),
    **dict.fromkeys((".lmdb", ".mdb"), "LMDB"),
    **dict.fromkeys((".h5", ".hdf5"), "HDF5"),
    ".rec": "RecordIO",
    ".mat": "MATLAB",
}
_SQUEEZED = frozenset({".gz", ".bz2", ".xz", ".zst"})
_NAMED_ANNOTATIONS = re.compile(r"annot", re.IGNORECASE)
_TFRECORD = re.compile(r"\.tfrecords?(?:-\d+-of-\d+)?$|\.record(?:-\d+-of-\d+)?$", re.IGNORECASE)
_HEAD = 64 * 2**10
# May be pointed at although they hold no annotations.
_NOT_READ = VIDEOS | {".yaml", ".yml"}

KINDS = {
    ".cache": why.CACHE,
    **dict.fromkeys(VIDEOS, why.VIDEO),
    **dict.fromkeys((".npy", ".npz"), why.ARRAY),
    **dict.fromkeys((".pkl", ".pickle"), why.PICKLE),
}


@dataclass(frozen=True, slots=True)
class Recognised:
    """What there is.

    Parameters
    ----------
    format : str
        The one to read; empty: pictures alone.
    detection : Detection
    others : dict of str to Detection
        Further formats that were found, by name.
    unknown : list of str
        Files that speak of boxes in no form that is known.
    damaged : dict of str to str
        Files beside those of this format that cannot be read, and why.
    """

    format: str
    detection: Detection
    others: dict[str, Detection] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def recognise(view: FolderView, wanted: str = "") -> Recognised:
    """Find out what format there is.

    Parameters
    ----------
    view : FolderView
    wanted : str
        A format that was chosen.

    Raises
    ------
    ArchiveError
        If a file was pointed at, and no pictures are beside it.
    ImportFormatError
        If it is none that can be read, and why; if the format that was chosen is not there.
    """
    _refuse(view)
    if wanted and wanted not in READERS:
        raise ImportFormatError(f"format: expected one of {', '.join(READERS)}, found {wanted!r}")
    if view.focus is not None and not view.pictures:
        raise ArchiveError(
            f"{view.path / view.focus}: expected pictures in its folder or in the one above, found "
            f"none; put the pictures beside it and import again"
        )
    pointed = view.focus is not None and extension(view.focus) not in _NOT_READ
    found: dict[str, Detection] = {}
    for name, reader in READERS.items():
        try:
            with making_sense(view, name):
                detection = reader.detect(view)
        except ImportFormatError as error:
            _log.info("not taken for %s: %s", reader.TITLE, error)
            continue
        if detection.confidence > 0 and (not pointed or view.focus in detection.files):
            found[name] = detection
    if wanted and wanted not in found:
        raise ImportFormatError(
            f"{view.path}: expected {READERS[wanted].TITLE}, found "
            f"{', '.join(READERS[n].TITLE for n in found) or 'none of the formats'}"
        )
    best = wanted or _best(view, found)
    others = {name: found[name] for name in found if name != best}
    claimed = set(view.pictures).union(*(detection.files for detection in found.values()))
    unclaimed = [n for n in view.names if n not in claimed and not hidden(n)]
    unknown = [n for n in unclaimed if _is_asked(view, n)]
    if pointed and not best:
        raise ImportFormatError(
            f"{view.path / str(view.focus)}: expected annotations in one of the forms "
            f"{', '.join(r.TITLE for r in READERS.values())}, found none of them; export it again "
            f"as COCO or YOLO"
        )
    chosen = found.get(best, Detection())
    damaged = _damaged_beside(view, chosen, unclaimed)
    return Recognised(best, chosen, others, unknown, damaged)


def _damaged_beside(
    view: FolderView, detection: Detection, unclaimed: Iterable[str]
) -> dict[str, str]:
    """Return what lies among the annotation files, and is empty or no JSON."""
    kinds = (".json", ".xml")
    places = {(n.rpartition("/")[0], extension(n)) for n in detection.files if n.endswith(kinds)}
    damaged: dict[str, str] = {}
    for name in unclaimed if places else ():
        if (name.rpartition("/")[0], extension(name)) not in places:
            continue
        if not view.size(name):
            damaged[name] = "the file is empty"
        elif said := view.why_no_json(name):
            damaged[name] = _shortly(view, said)
    return damaged


def _best(view: FolderView, found: dict[str, Detection]) -> str:
    """Return the format that says most: that of the surest, and of equals the fuller one."""
    if not found:
        return ""
    if len(found) == 1:
        return next(iter(found))
    pictures = {fold(stem_of(name)) for name in view.pictures}
    weights = {
        name: (round(d.confidence * _covers(view, name, d, pictures), 2), d.confidence)
        for name, d in found.items()
    }
    return max(found, key=lambda name: weights[name])


def _covers(view: FolderView, name: str, detection: Detection, pictures: set[str]) -> float:
    """Return the share of the pictures that a format speaks of."""
    from workbench.datasets.formats.items import Options

    try:
        with making_sense(view, name):
            reading = READERS[name].read(view, detection, Options())
            named = {
                fold(stem_of((r.picture or r.file).replace("\\", "/"))) for r in reading.records
            }
    except ImportFormatError:
        return 1.0  # a damaged file is to be told, not passed over in favour of another
    return len(named & pictures) / max(len(pictures), 1)


def _refuse(view: FolderView) -> None:
    """Refuse what no reader can take, with the way out."""
    if view.pictures:
        return
    records = [name for name in view.names if _TFRECORD.search(name)]
    if records:
        raise ImportFormatError(
            f"{view.path}: expected pictures, found TFRecord files, such as {records[0]!r}, which "
            f"hold them in a form that only TensorFlow reads; export the dataset as COCO or YOLO "
            f"from where it came from, or convert it with TensorFlow where that is installed"
        )
    packed = [name for name in view.names if extension(name) in _PACKED and not hidden(name)]
    if packed:
        raise ImportFormatError(
            f"{view.path}: expected pictures, found {_PACKED[extension(packed[0])]} files, such as "
            f"{packed[0]!r}, which hold them in a form that is not read here; download the dataset "
            f"as pictures with COCO or YOLO beside them, or write it out so with the library that "
            f"made it"
        )
    for name in view.candidates(".txt", ".csv", ".ndjson", ".jsonl"):
        lines = [line for line in view.head(name, _HEAD).splitlines() if line.strip()][:20]
        has_url = [b"://" in line for line in lines]
        if lines and (all(map(_URL_LINE.match, lines)) or sum(has_url) * 2 > len(lines)):
            raise ImportFormatError(
                f"{view.path}: expected pictures, found addresses of pictures in {name!r}; "
                f"Workbench fetches nothing from the network by itself, so download them into a "
                f"folder beside it and import that"
            )


def _is_asked(view: FolderView, name: str) -> bool:
    """Whether a file may be annotations in a form that nobody here knows."""
    kind = extension(name)
    if kind in _SQUEEZED:
        return extension(name.rpartition(".")[0]) in _ASKED_EXTENSIONS
    if kind in _BINARY or _TFRECORD.search(name):
        return True
    if kind == ".txt" and _may_be_of_a_picture(view, name):
        return view.size(name) > 0
    if kind in _TEXTS and _has_boxes(view.head(name, _HEAD).splitlines()[:_LINES]):
        return True
    if not kind:  # some tools write JSON without an extension
        head = view.head(name)
        return _JSON_BEGINS.match(head) is not None and _TALKS_OF_BOXES.search(head) is not None
    if kind not in _ASKED_EXTENSIONS:
        return False
    if _NAMED_ANNOTATIONS.search(name.rpartition("/")[2]) and view.size(name) > 0:
        return True
    if _TALKS_OF_BOXES.search(view.head(name, _HEAD)) is not None:
        return True
    return view.size(name) > 0 and bool(_damage(view, name))


def _has_boxes(lines: Sequence[bytes]) -> bool:
    """Whether lines have pictures and four numbers, in the same line or in those behind it."""
    if any(map(_is_box_line, lines)):
        return True
    return any(map(_PICTURE.search, lines)) and any(map(_NUMBERS_ALONE.fullmatch, lines))


def _is_box_line(line: bytes) -> bool:
    """Whether a line has a picture and four numbers."""
    return _PICTURE.search(line) is not None and len(_NUMBER.findall(line)) >= _CORNERS


def _may_be_of_a_picture(view: FolderView, name: str) -> bool:
    """Whether a text is called like a picture, also as ``gt_a.txt`` or ``a_boxes.txt``."""
    stem = fold(stem_of(name))
    called = view.once(_called)
    return stem in called or _BESIDE_NAMES.sub("", stem) in called


def _called(view: FolderView) -> set[str]:
    """Return what the pictures are called, with and without their extensions."""
    bases = {fold(name.rpartition("/")[2]) for name in view.pictures}
    return bases | {stem_of(base) for base in bases}


def question(view: FolderView, unknown: Sequence[str]) -> str:
    """Return what is asked about files in no known form."""
    some = ", ".join(repr(name) for name in unknown[:3]) + ", ..." * (len(unknown) > 3)
    damaged = [said for name in unknown[:_LOOKED_AT] if (said := _damage(view, name))]
    if damaged:
        return (
            f"{view.path}: found {counted(len(unknown), 'file')} beside the pictures that may be "
            f"annotations ({some}), and cannot read them: {damaged[0]}. Export them again, or "
            f"import the pictures alone (unknown='ignore')"
        )
    return (
        f"{view.path}: found {counted(len(unknown), 'file')} beside the pictures that may be "
        f"annotations, in no form that is known here ({some}). Import the pictures alone "
        f"(unknown='ignore'), or export the annotations again in one of these forms: "
        f"{', '.join(reader.TITLE for reader in READERS.values())}"
    )


def _damage(view: FolderView, name: str) -> str:
    """Return what is wrong with a file that is to be JSON; empty: nothing, or it is to be none."""
    if extension(name) != ".json":
        return ""
    try:
        view.json(name)
    except ImportFormatError as error:
        return _shortly(view, str(error))
    return ""


def _shortly(view: FolderView, said: str) -> str:
    return said.removeprefix(f"{view.path}, ").partition("; export it again")[0]


def kind_of(view: FolderView, name: str, others: Iterable[Detection]) -> str:
    """Return why a file that is no picture is not taken."""
    if any(name in detection.files for detection in others):
        return why.OTHER_FORMAT
    if hidden(name):
        return why.HIDDEN_FILE
    if is_archive(name):
        return why.ARCHIVE
    return KINDS.get(extension(name), why.OTHER_FILE)
