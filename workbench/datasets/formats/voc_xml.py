"""One Pascal VOC annotation file: bytes to objects to boxes. Touches no disk.

The format is described in the VOC2012 development kit, section "Annotation (ground truth)"
(http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html). There the top left
pixel is (1, 1), and ``xmax`` and ``ymax`` are the last pixels inside: a box over the whole of
a 640 pixels wide image runs from 1 to 640.

Files in VOC's form from other hands mostly hold something else: the corners as they were
drawn, counted from 0. (labelImg, which wrote most of them, writes such corners, and a 1 for
every 0, since a trainer of its time failed on zeros.) Nothing in a file says which it is.
Both ways have the same right and lower side: pixel 640 counted from 1 ends where corner 640
counted from 0 lies. They differ by one pixel on the left and upper side, so:

* a file that says of itself that it comes from the VOC challenge (its ``source`` names
  "PASCAL VOC" or "The VOC20.. Database") is read as the development kit says:
  ``left = xmin - 1``;
* every other one is taken as it is: ``left = xmin``, at worst one pixel too far in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from workbench.errors import ImportFormatError
from workbench.geometry import area, clip_xyxy, to_normalised
from workbench.persistence.models import Annotation

# A box thinner than this could not be written down with eight decimals in a large image.
_THINNEST_PIXELS = 0.01

_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.\-]+)["'][^>]*\?>""")
_CHALLENGE = re.compile(r"PASCAL VOC|VOC20\d\d Database", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VocObject:
    """One object as it stands in the file.

    Parameters
    ----------
    number : int
        Its place in the file, counted from 1.
    name : str
        Of its class.
    box : tuple of float
        ``xmin, ymin, xmax, ymax`` as written.
    difficult : bool
        Whether the challenge does not count it.
    """

    number: int
    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False

    def __str__(self) -> str:
        return f"object {self.number} ({self.name})"


@dataclass(frozen=True, slots=True)
class VocFile:
    """What an annotation file says.

    Parameters
    ----------
    filename : str
        The image's name according to the file, which is often wrong; may be empty.
    size : (int, int) or None
        Width and height according to the file; None if it does not say.
    objects : tuple of VocObject
    problems : tuple of str
        One sentence for each object that could not be read.
    from_challenge : bool
        Whether coordinates count from 1; see the module's text.
    """

    filename: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    problems: tuple[str, ...]
    from_challenge: bool


def parse_voc(data: bytes, where: str = "annotation") -> VocFile:
    """Read the bytes of an annotation file.

    Parameters
    ----------
    data : bytes
        In any encoding that the file declares and Python knows.
    where : str
        What to call the file in messages.

    Raises
    ------
    ImportFormatError
        If it is no XML, is dangerous XML (entities), or no annotation.
    """
    root = _root(data, where)
    if root.tag != "annotation":
        raise ImportFormatError(f"{where}: expected <annotation>, found <{root.tag}>")
    objects: list[VocObject] = []
    problems: list[str] = []
    # Direct children only: a person's <part>s (head, hands) have boxes, too.
    for number, element in enumerate(root.findall("object"), start=1):
        try:
            objects.append(_object(element, number))
        except ValueError as error:
            problems.append(f"{where}: object {number}: {error}; left out")
    source = " ".join(root.findtext(f"source/{tag}", "") for tag in ("database", "annotation"))
    return VocFile(
        filename=root.findtext("filename", "").strip(),
        size=_size(root),
        objects=tuple(objects),
        problems=tuple(problems),
        from_challenge=bool(_CHALLENGE.search(source)),
    )


def to_annotations(
    voc: VocFile,
    width: int,
    height: int,
    class_ids: Mapping[str, int],
    where: str = "annotation",
    *,
    one_based: bool | None = None,
) -> tuple[list[Annotation], list[str]]:
    """Turn the objects of a file into normalised boxes.

    Parameters
    ----------
    width, height : int
        Of the image in pixels.
    class_ids : mapping of str to int
        Objects of other classes are left out without a word.
    one_based : bool, optional
        Whether pixels count from 1; default: as the file's origin says.

    Returns
    -------
    annotations : list of Annotation
        Clipped to the image.
    problems : list of str
        One sentence for each box that had no area or lay outside the image.
    """
    shift = 1.0 if (voc.from_challenge if one_based is None else one_based) else 0.0
    annotations, problems = [], []
    for item in voc.objects:
        if item.name not in class_ids:
            continue
        left, top, right, bottom = item.box
        box = (left - shift, top - shift, right, bottom)
        problem = _problem(box, width, height)
        if problem:
            shown = ", ".join(f"{value:g}" for value in item.box)
            problems.append(f"{where}: {item}: the box {shown} {problem}; left out")
            continue
        xywh = to_normalised(clip_xyxy(box, width, height), width, height)[0].tolist()
        annotations.append(Annotation(class_ids[item.name], *xywh))
    return annotations, problems


def _problem(box: tuple[float, float, float, float], width: int, height: int) -> str | None:
    left, top, right, bottom = box
    if right < left or bottom < top:
        return "is inside out (a maximum is below its minimum)"
    if min(right - left, bottom - top) < _THINNEST_PIXELS:
        return "has no area"
    clipped = clip_xyxy(box, width, height)[0]
    if area(clipped)[0] == 0 or min(clipped[2:] - clipped[:2]) < _THINNEST_PIXELS:
        return f"lies outside the image of {width} x {height} pixels"
    return None


def _root(data: bytes, where: str) -> Element:
    text: bytes | str = data
    declared = _DECLARATION.match(data)
    try:
        if declared and not declared[1].lower().startswith((b"utf", b"us-ascii", b"iso-8859-1")):
            # expat itself knows a handful of encodings only, and not GBK or Shift JIS.
            text = data[declared.end() :].decode(declared[1].decode("ascii"))
        root: Element = defusedxml.ElementTree.fromstring(text)
    except LookupError as error:
        raise ImportFormatError(f"{where}: {error}; save it as UTF-8") from error
    except UnicodeDecodeError as error:
        raise ImportFormatError(f"{where}: is not in the encoding it declares: {error}") from error
    except DefusedXmlException as error:
        raise ImportFormatError(
            f"{where}: declares XML entities, which annotations never need and attacks use "
            f"({type(error).__name__})"
        ) from error
    except (ParseError, ValueError) as error:
        raise ImportFormatError(f"{where}: expected XML, found {error}") from error
    return root


def _object(element: Element, number: int) -> VocObject:
    name = " ".join(element.findtext("name", "").split())
    if not name:
        raise ValueError("has no name")
    box = element.find("bndbox")
    if box is None:
        raise ValueError(f"({name}) has no bndbox")
    return VocObject(
        number=number,
        name=name,
        box=(
            _coordinate(box, name, "xmin"),
            _coordinate(box, name, "ymin"),
            _coordinate(box, name, "xmax"),
            _coordinate(box, name, "ymax"),
        ),
        difficult=element.findtext("difficult", "").strip() in {"1", "true", "True"},
    )


def _coordinate(box: Element, name: str, tag: str) -> float:
    text = box.findtext(tag, "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"({name}) expected a number as {tag}, found {text!r}")
    return value


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = (round(float(root.findtext(f"size/{t}", ""))) for t in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None
