"""What a feed gives: frames, and the state that it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.persistence.image_bounds import decode_bounded
from workbench.persistence.rules import check_frame, decode

Image = npt.NDArray[np.uint8]
"""uint8, shape (height, width, 3), BGR."""

GREY_WIDTH = 320

Status = Literal["stopped", "opening", "live", "stalled", "ended", "failed"]


class Frame:
    """One picture of a feed.

    A frame that came as JPEG bytes keeps them, so that they can be stored without being
    encoded a second time, and decodes them only when somebody asks for pixels.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3), or None
        BGR. None: to be decoded from `encoded`. Not to be changed by anybody, because
        several consumers look at the same array.
    time : float
        When it was taken, in seconds since the epoch.
    sequence : int
        Number of the frame in its feed; grows, and where it skips a number, frames were
        left out.
    encoded : bytes, optional
        The same picture as a JPEG file.

    Raises
    ------
    InvalidFrameError
        If `image` is something else; on access to `image` also if `encoded` is no image.
    ValueError
        If there is neither.
    """

    __slots__ = ("_grey", "_image", "encoded", "sequence", "time")

    def __init__(
        self, image: Image | None, time: float, sequence: int, *, encoded: bytes | None = None
    ) -> None:
        if image is None and encoded is None:
            raise ValueError("a frame needs pixels or encoded bytes; found neither")
        self._image = None if image is None else check_frame(image)
        self._grey: npt.NDArray[np.uint8] | None = None
        self.time = time
        self.sequence = sequence
        self.encoded = encoded

    @property
    def image(self) -> Image:
        """The pixels: uint8, shape (height, width, 3), BGR."""
        if self._image is None:
            assert self.encoded is not None
            self._image = decode(self.encoded, f"frame {self.sequence}")
        return self._image

    @property
    def grey(self) -> npt.NDArray[np.uint8]:
        """A small grey picture: uint8, shape (height, width), at most `GREY_WIDTH` wide.

        JPEG bytes are decoded at half the size for it, which takes half the time.
        """
        if self._grey is None:
            self._grey = self._small_grey()
        return self._grey

    def _small_grey(self) -> npt.NDArray[np.uint8]:
        import cv2

        small: Any = None
        if self._image is None and self.encoded is not None:
            where, half = f"frame {self.sequence}", cv2.IMREAD_REDUCED_GRAYSCALE_2
            small = decode_bounded(self.encoded, where, half)
        if small is None:
            small = self.image
        # Averaging all of two million pixels would take longer than everything else.
        small = _no_wider_than(2 * GREY_WIDTH, small, cv2.INTER_NEAREST)
        if small.ndim > 2:
            small = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        return _no_wider_than(GREY_WIDTH, small, cv2.INTER_AREA)

    @property
    def pixels(self) -> Image | None:
        """The pixels if they are decoded already."""
        return self._image

    def __repr__(self) -> str:
        return f"Frame(sequence={self.sequence}, time={self.time:.3f})"


def _no_wider_than(most: int, image: Any, interpolation: int) -> Image:
    import cv2

    height, width = image.shape[:2]
    if width <= most:
        return np.asarray(image, dtype=np.uint8)
    size = (most, max(1, round(height * most / width)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class FeedState:
    """What a feed is doing.

    Parameters
    ----------
    status : str
        ``"stopped"`` (not started, or stopped by us), ``"opening"``, ``"live"``,
        ``"stalled"`` (no frame has come for a while, but one may), ``"ended"`` (there are no
        more) or ``"failed"``.
    why : str
        A sentence for people, with the remedy; empty where there is nothing to say.
    """

    status: Status
    why: str = ""

    @property
    def over(self) -> bool:
        """Whether no frame will come unless the feed is started again."""
        return self.status in ("stopped", "ended", "failed")


@dataclass(frozen=True, slots=True)
class Pause:
    """What the generator of a feed yields instead of an image to have some time go by.

    Parameters
    ----------
    seconds : float
        How long to wait before asking for the next image; `Feed.stop` cuts it short.
    why : str
        Why no images come; the feed is stalled for this reason until one does. Empty: the
        pause is nothing special.
    """

    seconds: float
    why: str = ""
