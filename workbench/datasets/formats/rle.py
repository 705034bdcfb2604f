"""The box around a run-length encoded mask, as COCO has them.

Why not ``toBbox`` of pycocotools, which gives the same boxes for sound masks: it checks nothing,
and masks come from anybody. Release 2.0.11 answers a packed mask that is cut off with a box
429 million pixels wide, and a mask of 0 x 0 pixels ends the whole process (``SIGFPE``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.datasets.formats.items import number

_MOST_PIXELS = 2**40
_MOST_BITS = 45  # of a packed number: enough for these pixels, with its sign


def rle_box(mask: Any) -> tuple[float, float, float, float]:
    """Return the corners of the box around a mask.

    Parameters
    ----------
    mask : dict
        ``size`` as height and width; ``counts``: lengths of runs of 0 and 1 by turns, down the
        columns, as a list or packed into text.

    Raises
    ------
    ValueError
        If it is no mask, or an empty one.
    """
    if not isinstance(mask, dict):
        raise ValueError("expected a mask")
    try:
        height, width = (int(number(value)) for value in mask["size"])
        counts = mask["counts"]
    except (KeyError, TypeError) as error:
        raise ValueError("expected a mask with size and counts") from error
    if isinstance(counts, str | bytes):
        counts = _unpacked(counts)
    if not isinstance(counts, list) or not all(isinstance(c, int) and c >= 0 for c in counts):
        raise ValueError("expected runs of a mask")
    if height <= 0 or width <= 0 or height * width > _MOST_PIXELS or sum(counts) > height * width:
        raise ValueError("expected runs that fit the mask's size")
    ends = np.cumsum(np.array(counts, dtype=np.int64))
    starts, stops = ends[:-1:2], ends[1::2]
    starts, stops = starts[: len(stops)], stops
    some = stops > starts
    starts, last = starts[some], stops[some] - 1
    if not len(starts):
        raise ValueError("expected a mask, found an empty one")
    left, right = int(starts[0] // height), int(last[-1] // height)
    crosses = starts // height != last // height
    if crosses.any():
        top, bottom = 0, height - 1  # down to the end of a column and on at the top of the next
    else:
        top, bottom = int((starts % height).min()), int((last % height).max())
    return float(left), float(top), float(right + 1), float(bottom + 1)


def _unpacked(text: str | bytes) -> list[int]:
    """Return the runs that are packed into text: five bits a letter, differences from the third."""
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    counts: list[int] = []
    position = 0
    while position < len(data):
        value = shift = 0
        while True:
            if position >= len(data):
                raise ValueError("expected a packed mask, found it cut off")
            letter = data[position] - 48
            position += 1
            if shift >= _MOST_BITS:  # numbers without an end would take for ever
                raise ValueError("expected runs that fit the mask's size")
            value |= (letter & 0x1F) << shift
            shift += 5
            if not letter & 0x20:
                if letter & 0x10:
                    value |= -1 << shift
                break
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
    return counts
