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
from collections.abc import Callable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import errors

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.items import (
    POLYGON,
    ROTATED,
    Box,
    Problem,
    Record,
    corners,
    number,
    size_of,
)
from workbench.errors import ImportFormatError

_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.\-]+)["'][^>]*\?>""")
_DECLARED = re.compile(r"^\s*<\?xml[^>]*\?>")
_CHALLENGE = re.compile(r"PASCAL VOC|VOC20\d\d Database", re.IGNORECASE)
_BOXES = re.compile(rb"<\s*(?:\w+:)?(?:bndbox|robndbox|xmin|x_min)\b", re.IGNORECASE)
_AMPERSAND = re.compile(rb"&(?!(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);)")
_COMMA = re.compile(r"-?\d+,\d+")
_MARKS = ("difficult", "truncated", "occluded", "pose")
_OF_THE_WHOLE = ("classification", "classification/name", "class", "label", "category", "tag")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parse_voc(data: bytes, where: str = "annotation", *, one_based: bool | None = None) -> Record:
    """Read the bytes of an annotation file.

    Parameters
    ----------
    data : bytes
        In any encoding that the file declares and Python knows.
    where : str
        What to call the file in messages.
    one_based : bool, optional
        Whether pixels count from 1; default: as the file's origin says.

    Raises
    ------
    ImportFormatError
        If it is no XML, is dangerous XML (entities), or no annotation.
    """
    root = parse_xml(data, where)
    if root.tag != "annotation":
        raise ImportFormatError(f"{where}: expected <annotation>, found <{root.tag}>")
    source = " ".join(root.findtext(f"source/{tag}", "") for tag in ("database", "annotation"))
    shifted = is_of_the_challenge(source) if one_based is None else one_based
    record = Record(where, root.findtext("filename", "").strip())
    record.size = size_of(root.findtext("size/width"), root.findtext("size/height"))
    # Direct children only: a person's <part>s (head, hands) have boxes, too.
    objects = root.findall("object") or root.findall("objects/object")
    if not objects and _BOXES.search(data):
        record.problems.append(Problem(why.BAD_ROW, 1, "boxes that are in no <object>"))
    if not objects and any((root.findtext(tag) or "").strip() for tag in _OF_THE_WHOLE):
        record.reviewed = False  # the picture was sorted, and nobody has looked for things in it
    for position, element in enumerate(objects, start=1):
        if element.findtext("deleted", "").strip() in ("1", "true"):
            record.problems.append(Problem(why.DELETED, position))
            continue
        for one in _one_box_each(element):
            try:
                record.boxes.append(_object(one, position, 1.0 if shifted else 0.0))
            except ValueError as error:
                record.problems.append(Problem(why.BAD_ROW, position, str(error)))
    return record


def _one_box_each(element: Element) -> list[Element]:
    """Return an object once for each of its boxes; nearly all have one."""
    boxes = element.findall("bndbox")
    if len(boxes) < 2:
        return [element]
    rest = [part for part in element if part.tag != "bndbox"]
    found = []
    for box in boxes:
        one = Element(element.tag, element.attrib)
        one.extend([*rest, box])
        found.append(one)
    return found


_DAMAGES = {
    errors.XML_ERROR_NO_ELEMENTS: "its end before its last tag is closed: it may be cut off",
    errors.XML_ERROR_UNCLOSED_TOKEN: "its end within a tag: it may be cut off",
    errors.XML_ERROR_TAG_MISMATCH: "a closing tag that is not that of the tag that was opened last",
    errors.XML_ERROR_INVALID_TOKEN: "a character that may not stand there",
    errors.XML_ERROR_UNDEFINED_ENTITY: "a name of a character (such as &nbsp;) that XML has not",
    errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: "more behind its end",
    errors.XML_ERROR_SYNTAX: "text that is no XML",
}


def is_of_the_challenge(source: str) -> bool:
    """Whether what a file says of its origin means that its pixels count from 1."""
    return _CHALLENGE.search(source) is not None


def parse_xml(data: bytes, where: str) -> Element:
    """Return the root of an XML file.

    Raises
    ------
    ImportFormatError
        If it is none, or holds entities, which annotations never need and attacks use.
    """
    data = data.lstrip()
    text: bytes | str = data
    declared = _DECLARATION.match(data)
    try:
        if declared and not declared[1].lower().startswith((b"utf", b"us-ascii", b"iso-8859-1")):
            # expat itself knows a handful of encodings only, and not GBK or Shift JIS.
            text = data[declared.end() :].decode(declared[1].decode("ascii"))
        try:
            root = _parsed(text)
        except ParseError:
            # Not in the encoding that it declares, or in none that it declares.
            plain = _DECLARED.sub("", decode(data), count=1)
            if "<object" not in plain.lower():
                raise  # what is damaged must not look like a picture that shows nothing
            root = _parsed(plain)
    except LookupError as error:
        encoding = declared[1].decode("ascii") if declared else ""
        raise ImportFormatError(
            f"{where}: says that it is in the encoding {encoding!r}, which is not known here; save "
            f"it as UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        raise ImportFormatError(
            f"{where}: is not in the encoding {error.encoding!r}, which it says it is in; save it "
            f"as UTF-8"
        ) from error
    except DefusedXmlException as error:
        raise ImportFormatError(
            f"{where}: declares XML entities, which annotations never need and attacks use"
        ) from error
    except (ParseError, ValueError) as error:
        raise ImportFormatError(f"{where}: expected XML, found {_damage(error)}") from error
    return root


def _damage(error: Exception) -> str:
    """Return in words what is wrong with XML."""
    if not isinstance(error, ParseError):
        return "what is none"
    line, column = error.position
    what = _DAMAGES.get(errors.messages.get(error.code, ""), "something that is none")
    return f"{what} in line {line} at character {column + 1}"


def _parsed(text: bytes | str) -> Element:
    plain = isinstance(text, bytes) and b"<!" not in text and b"\0" not in text
    try:
        # Without a declaration there is no entity to be defended from, and the parser in C is
        # several times as fast as the one that defends.
        root: Element = (ElementTree if plain else defusedxml.ElementTree).fromstring(text)
    except ParseError:
        if isinstance(text, str):
            text = text.encode()
        mended = _AMPERSAND.sub(b"&amp;", text)
        if mended == text:
            raise
        # A name such as "nuts & bolts", which its tool should have escaped.
        root = defusedxml.ElementTree.fromstring(mended)
    if "}" in root.tag or root.tag != root.tag.lower() or root.find("Object") is not None:
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2].lower()
    return root


def _object(element: Element, position: int, shift: float) -> Box:
    name = " ".join(_text(element, "name").split())
    if not name:
        raise ValueError("has no name")
    box, rotated, polygon = (element.find(tag) for tag in ("bndbox", "robndbox", "polygon"))
    if box is not None:
        left, top, right, bottom = (_coordinate(box, name, tag) for tag in _CORNERS)
        found, shape = (left - shift, top - shift, right, bottom), ""
    elif rotated is not None:
        found, shape = _around_rotated(rotated, name), ROTATED
    elif polygon is not None:
        found, shape = corners(_points(polygon, name)), POLYGON
    elif _text(element, "xmin"):  # the corners without an element of their own
        left, top, right, bottom = (_coordinate(element, name, tag) for tag in _CORNERS)
        found, shape = (left - shift, top - shift, right, bottom), ""
    else:
        raise ValueError(f"({name}) has no bndbox, robndbox or polygon")
    return Box(
        name, *found, position, shape, None, marks_of(lambda tag: element.findtext(tag, "")) or None
    )


def marks_of(text_of: Callable[[str], str]) -> dict[str, object]:
    """Return what an object has beside its box, without what says nothing.

    Parameters
    ----------
    text_of : callable
        Takes the name of an element of the object and returns its text; empty if it has none.
    """
    marks: dict[str, object] = {}
    for tag in _MARKS:
        text = text_of(tag).strip()
        if tag == "pose":
            if text and text.lower() != "unspecified":
                marks[tag] = text
        elif text.lower() in ("1", "true", "yes"):
            marks[tag] = True
    return marks


def _around_rotated(box: Element, name: str) -> tuple[float, float, float, float]:
    """Return the box around a rotated one, as roLabelImg writes them: radians, clockwise."""
    x, y, width, height, angle = (
        _coordinate(box, name, tag) for tag in ("cx", "cy", "w", "h", "angle")
    )
    across = abs(width * math.cos(angle)) + abs(height * math.sin(angle))
    down = abs(width * math.sin(angle)) + abs(height * math.cos(angle))
    return x - across / 2, y - down / 2, x + across / 2, y + down / 2


def _points(polygon: Element, name: str) -> Iterator[float]:
    """Yield ``<x1>``, ``<y1>``, ``<x2>`` ... or ``<pt><x/><y/></pt>`` of an outline."""
    points = [element for element in polygon if element.tag.lower() in ("pt", "point")]
    if points:
        for point in points:
            yield _coordinate(point, name, "x")
            yield _coordinate(point, name, "y")
        return
    count = sum(element.tag.startswith("x") for element in polygon)
    for position in range(1, count + 1):
        yield _coordinate(polygon, name, f"x{position}")
        yield _coordinate(polygon, name, f"y{position}")


def _text(element: Element, tag: str) -> str:
    """Return what an element says in another one within, or in an attribute."""
    return element.findtext(tag) or element.get(tag) or ""


def _coordinate(box: Element, name: str, tag: str) -> float:
    text = _text(box, tag).strip()
    try:
        return number(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
    except ValueError:
        raise ValueError(f"({name}) expected a number as {tag}, found {text[:40]!r}") from None
