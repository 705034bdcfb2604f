"""Names that no store accepts, because some system could not hold them as a file."""

from __future__ import annotations

BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "C:x",
    "a\x00b",
    "a\nb",
    "a\x7fb",
    "\ud800",
    "CON",
    "nul",
    "NUL.txt",
    "com1",
    "LPT9.x.y",
    ".hidden",
    "trailing.",
    "trailing ",
    "a?b",
    'a"b',
    "a|b",
    "x" * 300,
    "ü" * 200,
]

BAD_FILENAMES = [
    "",
    "..",
    ".jpg",
    "frame",
    "frame.txt",
    "frame.jpg.",
    "../a.jpg",
    "sub/a.jpg",
    "sub\\a.jpg",
    "a\x00.jpg",
    "a\r.jpg",
    "\udcff.jpg",
    "NUL.jpg",
    "aux.png",
    ".a.jpg",
    "a.jpg ",
    "a*.jpg",
    "x" * 300 + ".jpg",
]

BAD_SPLITS = ["", "training", "Train", "valid", "../val", "train/"]
