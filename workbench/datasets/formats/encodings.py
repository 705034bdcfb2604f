"""Text that is not UTF-8: which encoding it is read in, and what others would make of it.

Few letters do not tell: two bytes are a letter of Chinese in GBK and two of German in
Windows-1252; charset-normalizer was right about 14 of 31 lists of one to three names. So
Windows-1252 is taken unless somebody says otherwise, and the plan shows what there is to choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from workbench.datasets.changes import counted
from workbench.errors import ImportFormatError

ENCODINGS: dict[str, str] = {
    "cp1252": "Western European (Windows-1252)",
    "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "gb18030": "Simplified Chinese (GBK)",
    "big5": "Traditional Chinese (Big5)",
    "shift_jis": "Japanese (Shift JIS)",
    "euc_kr": "Korean (EUC-KR)",
}
"""What can be chosen; the first is what is taken by itself."""

USUAL = next(iter(ENCODINGS))

TEXTS = frozenset(
    {
        ".txt",
        ".json",
        ".xml",
        ".csv",
        ".tsv",
        ".yaml",
        ".yml",
        ".names",
        ".data",
        ".ndjson",
        ".jsonl",
    }
)
"""Extensions of files whose text may be in such an encoding."""

_DECLARATION = re.compile(rb"\s*<\?xml[^>]{0,100}encoding=[\"']([\w.:-]{1,40})")
_BETWEEN = re.compile(rb"[\0-\x20\"',;:<>\[\]{}|]+")
_LONGEST_WORD = 40
_WIDE_SAMPLE = 400


def decode(data: bytes) -> str:
    """Return text in whatever of the usual encodings it is.

    Raises
    ------
    ImportFormatError
        If it is in none.
    """
    wide = wide_encoding(data)
    if wide:
        return data.decode(wide, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in data:
            raise ImportFormatError(
                "expected text, found binary data: another file was given this name; put the right "
                "one there, or take it away"
            ) from None
        # This may be the head of a file, which ends in half a letter.
        return data.decode(USUAL, "replace")


def wide_encoding(data: bytes) -> str:
    """Return the encoding of text with two or four bytes for each letter; empty if it is none."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark, the zeros beside the letters of English tell.
    head = data[:_WIDE_SAMPLE]
    if len(head) < 4 or b"\0" not in head:
        return ""
    zeros = [head[start::2].count(0) * 2 / len(head) for start in (0, 1)]
    if zeros[0] < 0.1 and zeros[1] > 0.7:
        return "utf-16-le"
    return "utf-16-be" if zeros[1] < 0.1 and zeros[0] > 0.7 else ""


def is_other_text(data: bytes) -> bool:
    """Whether bytes are text in an encoding that nothing in them tells; wide ones are not meant."""
    if data.isascii() or b"\0" in data:
        return False
    declared = _DECLARATION.match(data)
    if declared and not declared[1].lower().startswith((b"utf", b"us-ascii")):
        return False  # it says itself what it is
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return not wide_encoding(data)
    return False


def in_utf8(data: bytes, encoding: str) -> bytes:
    """Return text in UTF-8; what its encoding does not have becomes U+FFFD."""
    return data.decode(encoding, "replace").encode()


def first_word(data: bytes) -> bytes:
    """Return the first word that has letters beyond ASCII."""
    words = (word for line in data.splitlines() for word in _BETWEEN.split(line))
    return next((word for word in words if not word.isascii()), b"")[:_LONGEST_WORD]


def note_of(found: Mapping[str, bytes], encoding: str) -> str:
    """Say how text was read, and how else it could be.

    Parameters
    ----------
    found : mapping of str to bytes
        Files that are not in UTF-8, each with its first word that tells.
    encoding : str
        That was taken.
    """
    name, word = next(iter(found.items()))
    others = []
    for other in ENCODINGS:
        try:
            text = word.decode(other)
        except UnicodeDecodeError:
            continue
        if other != encoding and text.isprintable():
            others.append(f"{other} ({text})")
    are = "is" if len(found) == 1 else "are"
    which = counted(len(found), "text file") + f" ({name}{', …' if len(found) > 1 else ''})"
    taken = f"{encoding} ({word.decode(encoding, 'replace')})"
    note = f"{which} {are} not in UTF-8 and {are} read as {taken}"
    return f"{note}; choose encoding= for another: {', '.join(others)}" if others else note
