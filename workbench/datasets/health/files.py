"""Whether the image files are images, whole, and what they claim to be."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import PurePath

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding
from workbench.datasets.health.reencoding import rightly_named, upright, without_trailing_bytes
from workbench.datasets.image_facts import (
    CORRUPT,
    FORMATS,
    OF_EXTENSION,
    TOO_LARGE,
    TRUNCATED,
    UNREAD,
)
from workbench.persistence.image_bounds import VARIABLE, max_pixels

SMALLEST_SIDE = 10
"""Pixels; Ultralytics drops images below that."""


def check_pixels(evidence: Evidence) -> Iterator[Finding]:
    """Find images that cannot be decoded, or that training drops for their size."""
    state, facts = evidence.facts["state"], evidence.facts
    for kind, value, what, why in (
        (
            "corrupt",
            CORRUPT,
            "that cannot be decoded",
            "Damaged, no image at all, or of a kind that OpenCV cannot read (HEIF, TIFF of "
            "floats): training drops it with one line in its log, and its labels with it.",
        ),
        (
            "truncated",
            TRUNCATED,
            "cut off before the end",
            "The file was not copied completely: part of the picture is missing, and training "
            "drops it with one line in its log.",
        ),
        (
            "too-large",
            TOO_LARGE,
            "with more pixels than are decoded",
            f"More than {max_pixels() / 1e6:g} million pixels take more memory than a picture "
            f"should; make them smaller or cut them into tiles. {VARIABLE} sets another bound.",
        ),
    ):
        images = evidence.choose(state == value)
        if images:
            yield Finding(
                kind,
                f"{counted(len(images), 'image')} {what}",
                why,
                images,
                repairs=[evidence.repairs.trash_images("Move to the trash", images)],
            )
    unread = [
        key for key in evidence.choose(state == UNREAD) if unicodedata.is_normalized("NFC", key[1])
    ]
    if unread:
        yield Finding(
            "unread",
            f"{counted(len(unread), 'image')} could not be read",
            "The file is protected, or its name holds what not every system allows; correct "
            "that in the file manager.",
            unread,
            details=["/".join(key) for key in unread],
        )
    small = np.minimum(facts["width"], facts["height"]) < SMALLEST_SIDE
    tiny = evidence.choose(evidence.good & small)
    if tiny:
        yield Finding(
            "tiny-image",
            f"{counted(len(tiny), 'image')} smaller than {SMALLEST_SIDE} pixels",
            f"Ultralytics drops images with a side below {SMALLEST_SIDE} pixels.",
            tiny,
            repairs=[evidence.repairs.trash_images("Move to the trash", tiny)],
        )


def check_encoding(evidence: Evidence) -> Iterator[Finding]:
    """Find files that hold another format, a rotation, or bytes behind their end."""
    facts, repairs = evidence.facts, evidence.repairs
    yield from _extensions(evidence)
    turned = evidence.choose(evidence.good & (facts["orientation"] > 1))
    if turned:
        yield Finding(
            "exif-rotation",
            f"{counted(len(turned), 'image')} shown rotated by a note in the file (EXIF)",
            "Ultralytics and Workbench honour the note; tools that do not would put the boxes "
            "in the wrong places.",
            turned,
            repairs=[repairs.replace_images("Rotate the pixels (re-encodes)", turned, upright)],
        )
    trailing = evidence.choose(evidence.good & (facts["trailing"] > 0))
    if trailing:
        yield Finding(
            "trailing-bytes",
            f"{counted(len(trailing), 'JPEG')} with bytes behind the end of the picture",
            "Ultralytics takes such a file for corrupt and writes it anew, in place and without "
            "its EXIF.",
            trailing,
            repairs=[
                repairs.replace_images(
                    "Cut the bytes off (pixels stay)", trailing, without_trailing_bytes
                )
            ],
        )


def _extensions(evidence: Evidence) -> Iterator[Finding]:
    wrong, details = [], []
    formats = evidence.facts["format"].tolist()
    readable = (evidence.facts["state"] != UNREAD).tolist()
    for key, number, read in zip(evidence.keys, formats, readable, strict=True):
        expected = OF_EXTENSION[PurePath(key[1]).suffix.lower()]
        if read and FORMATS[number] not in ("", expected):
            wrong.append(key)
            details.append(f"{'/'.join(key)} holds {FORMATS[number].upper()}")
    if wrong:
        yield Finding(
            "wrong-extension",
            f"{counted(len(wrong), 'image')} in another format than the extension says",
            "Most tools look at the content, but some trust the name and fail, or read wrongly.",
            wrong,
            repairs=[
                evidence.repairs.replace_images("Correct the extension", wrong, rightly_named)
            ],
            details=details,
        )
