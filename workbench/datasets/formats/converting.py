"""Pictures for training, made of what is none by itself, where the plan is told to.

Training reads pictures of 8 bits, one in a file. Of others new ones are made: one for each page,
each frame of an animation, each n-th frame of a video. They lie in a temporary folder and stand
in the place of their origin, under its name and with another extension, so that annotations
find them. All pictures of more than 8 bits are brought to 8 by one range of values: what is
brighter in one of them is brighter in the copy, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.codecs import Pixels, kind_of_picture, pictures_in
from workbench.datasets.formats.file_names import CONVERTIBLE, VIDEOS, extension, hidden
from workbench.datasets.formats.video import frames_of
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError, ImportFormatError, InvalidFrameError
from workbench.persistence.image_header import whole_header

MAX_MADE = 1_000_000
"""Pictures that one import makes."""

_DEPTHS = frozenset({".tif", ".tiff", ".png"})
_WITHOUT = 1e-4
"""Share of the values that may fall out of the range at either end: dead and hot pixels."""

_QUALITY = 95
_EXTENSIONS = {"png": ".png", "jpeg": ".jpg"}


class Made(NamedTuple):
    """What a conversion has come to.

    Parameters
    ----------
    view : FolderView
        The files to import.
    failed : dict of str to str
        Files of which nothing could be made, and why.
    """

    view: FolderView
    failed: dict[str, str]


def converted(view: FolderView, choices: Choices, progress: Callable[[int, int], None]) -> Made:
    """Return what there is with the pictures that were made; the same if none are wanted.

    Raises
    ------
    ImportFormatError
        If a form is not readable here and something has to be installed.
    """
    wanted = choices.convert in _EXTENSIONS
    videos = _videos(view, choices)
    if not wanted and not videos:
        return Made(view, {})
    key = (choices.convert, choices.levels, choices.frame_step)
    made: Made | None = view.made.get(key)
    if made is None:
        made = _Conversion(view, choices, progress).run(videos, pictures=wanted)
        view.made[key] = made
    return made


def _videos(view: FolderView, choices: Choices) -> list[str]:
    found = view.others(VIDEOS)
    if choices.frame_step or not (view.pictures or view.others(CONVERTIBLE)):
        return found
    return []


@dataclass(slots=True)
class _Levels:
    """Which values of pictures of more than 8 bits become black and white."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(2**16, np.int64))
    low: float = float("inf")
    high: float = float("-inf")

    def see(self, picture: Pixels) -> None:
        if picture.dtype == np.uint16:
            self.counts += np.bincount(picture.reshape(-1), minlength=2**16)
            return
        values = picture[np.isfinite(picture)] if picture.dtype.kind == "f" else picture
        if values.size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))

    def range(self) -> tuple[float, float]:
        low, high = self.low, self.high
        total = int(self.counts.sum())
        if total:
            below = np.cumsum(self.counts)
            least = int(np.searchsorted(below, total * _WITHOUT, side="right"))
            most = int(np.searchsorted(below, total * (1 - _WITHOUT), side="left"))
            low, high = min(low, least), max(high, most)
        return (low, high) if high > low else (0.0, max(high, 1.0))


class _Conversion:
    def __init__(
        self, view: FolderView, choices: Choices, progress: Callable[[int, int], None]
    ) -> None:
        self._view = view
        self._choices = choices
        self._progress = progress
        self._folder = Path(view.new_folder())
        self._taken = set(view.names)
        self._pictures_there = frozenset(view.pictures)
        self._levels: tuple[float, float] | None = None
        self._source = ""
        self._done, self._total, self._made = 0, 0, 0
        self.used: list[str] = []
        self.failed: dict[str, str] = {}
        self.notes: list[str] = []

    def run(self, videos: Sequence[str], *, pictures: bool) -> Made:
        sources = [name for name in self._view.names if self._is_source(name)] if pictures else []
        deep = [name for name in sources if self._is_deep(name)]
        self._total = len(sources) + len(deep) + len(videos)
        self._find_levels(deep)
        for name in sources:
            self._tick()
            self._guard(name, self._pictures)
        for name in videos:
            self._tick()
            self._guard(name, self._frames)
        if self._levels is not None and any(name in self.used for name in deep):
            low, high = self._levels
            self.notes.append(
                f"{counted(len(deep), 'file has', 'files have')} more than 8 bits for each value: "
                f"{low:g}..{high:g} became "
                f"0..255; choose levels=(low, high) for another range"
            )
        if self._made:
            self.notes.insert(
                0,
                f"{counted(self._made, 'picture')} {'was' if self._made == 1 else 'were'} made of "
                f"{counted(len(self.used), 'file')}, such as {self.used[0]!r}",
            )
        view = self._view.with_made(self._folder, self.used, self.failed, self.notes)
        return Made(view, self.failed)

    # What to convert

    def _is_source(self, name: str) -> bool:
        if name not in self._pictures_there:
            return extension(name) in CONVERTIBLE and not hidden(name)
        if extension(name) not in _DEPTHS:
            # Phones and web pages call pictures by whatever extension they like.
            return kind_of_picture(self._view.head(name, 64)) in ("HEIC", "AVIF", "JPEG 2000")
        header = self._header(name)
        return header is not None and (header.bits > 8 or header.pages > 1)

    def _header(self, name: str) -> Any:
        # A PNG tells at its beginning; the directories of a TIFF are anywhere.
        whole = extension(name) != ".png"
        try:
            return whole_header(self._view.read(name) if whole else self._view.head(name))
        except ArchiveError:
            return None

    def _is_deep(self, name: str) -> bool:
        header = self._header(name) if extension(name) in _DEPTHS else None
        return extension(name) == ".pgm" or (header is not None and header.bits > 8)

    def _find_levels(self, deep: Sequence[str]) -> None:
        if self._choices.levels is not None:
            low, high = self._choices.levels
            self._levels = float(low), float(high)
            return
        if not deep:
            return
        levels = _Levels()
        for name in deep:
            self._tick()
            try:
                for picture in pictures_in(self._view.read(name), name):
                    self._go_on()
                    if picture.dtype != np.uint8:
                        levels.see(picture)
            except (InvalidFrameError, ArchiveError):
                continue  # told when its pictures are made
        self._levels = levels.range()

    # Making

    def _guard(self, name: str, make: Callable[[str], int]) -> None:
        before, self._source = self._made, name
        try:
            made = make(name)
        except (InvalidFrameError, ArchiveError) as error:
            if self._made == before:
                self.failed[name] = str(error)
                return
            made = self._made - before
            self.notes.append(
                f"only the first {counted(made, 'picture')} could be made of it: {error}"
            )
        if made:
            self.used.append(name)
        else:
            self.failed[name] = f"{name}: there is no picture in it"

    def _pictures(self, name: str) -> int:
        count = 0
        first: Pixels | None = None
        for count, picture in enumerate(pictures_in(self._view.read(name), name), start=1):
            self._go_on()
            if count == 1:
                first = picture  # alone, it keeps the name
                continue
            if first is not None:
                self._write(self._numbered(name, 1), first)
                first = None
            self._write(self._numbered(name, count), picture)
        if first is not None:
            self._write(self._stem(name), first)
        return count

    def _frames(self, name: str) -> int:
        video = frames_of(self._view.place(name), name, self._choices.frame_step)
        count = 0
        for number, frame in video.frames:
            self._write(f"{self._stem(name)}/frame_{number:06d}", frame, usual=".jpg")
            count += 1
            self._go_on()
        self.notes.append(
            f"{name}: {counted(count, 'picture')} {'was' if count == 1 else 'were'} made of it, of "
            f"each {video.step}. frame ({video.rate:.3g} frames a second); choose another number "
            f"by 'Frames of the videos' (frame_step)"
        )
        return count

    def _stem(self, name: str) -> str:
        return name[: -len(extension(name))] if extension(name) else name

    def _numbered(self, name: str, number: int) -> str:
        return f"{self._stem(name)}_{number:04d}"

    def _write(self, stem: str, picture: Pixels, usual: str = ".png") -> None:
        import cv2

        if self._made >= MAX_MADE:
            raise ImportFormatError(
                f"{self._view.path}: expected at most {MAX_MADE} pictures to be made, found more; "
                f"choose fewer 'Frames of the videos' (a larger frame_step), or import a part"
            )
        ending = _EXTENSIONS.get(self._choices.convert, usual)
        name = stem + ending
        while name in self._taken and name != self._source:
            stem += "_"
            name = stem + ending
        # A copy may have the name of its origin, which it stands for.
        self._taken.add(name)
        self._source = ""
        options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if ending == ".jpg" else []
        good, data = cv2.imencode(ending, self._in_8_bits(picture), options)
        if not good:
            raise InvalidFrameError(f"{name}: cannot be written as {ending}")
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
        self._made += 1

    def _in_8_bits(self, picture: Pixels) -> Pixels:
        if picture.dtype == np.uint8:
            return picture
        if picture.dtype == np.bool_:
            return picture.astype(np.uint8) * 255
        low, high = self._levels or (0.0, 65535.0)
        scaled = (np.nan_to_num(picture.astype(np.float32), nan=low) - low) * (255.0 / (high - low))
        return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)

    def _tick(self) -> None:
        self._progress(self._done, self._total)
        self._done += 1

    def _go_on(self) -> None:
        """Say that it is still at the same file, which may have thousands of pictures."""
        self._progress(self._done - 1, self._total)
