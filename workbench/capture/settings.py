"""How to capture: where images go, what is left out, what is noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.persistence.yolo.names import IMAGE_EXTENSIONS, check_split

Detections = Literal["off", "labels", "predictions"]


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What a recording goes by; changes count from the next recording on.

    Parameters
    ----------
    split : str or mapping of str to float
        Where images go; or the share of each split, which is kept by dealing out whole
        bursts: the frames of one burst look alike and never straddle two splits.
    class_name : str
        What is on all images of a burst; kept as a suggestion for whoever annotates.
    prefix : str
        Beginning of the file names; empty: the class name.
    extension : str
        Codec of the files. ``.jpg`` stores what comes as JPEG as it is.
    min_difference : float
        Frames of a recording that differ less than this from the last kept one are skipped:
        mean difference of grey values of small thumbnails, 0..255. 0 keeps all.
    min_sharpness : float
        Images below this are flagged as blurred, see `similarity.sharpness`.
    detections : str
        What becomes of the boxes that a model finds: ``"off"``, ``"labels"`` (saved as
        reviewed labels) or ``"predictions"`` (kept with the source, to be reviewed).

    Raises
    ------
    ValueError
        If one of them cannot be; names it.
    """

    split: str | Mapping[str, float] = "train"
    class_name: str = ""
    prefix: str = ""
    extension: str = ".jpg"
    min_difference: float = 1.5
    min_sharpness: float = 40.0
    detections: Detections = "off"

    def __post_init__(self) -> None:
        if isinstance(self.split, str):
            check_split(self.split)
        else:
            for name, share in self.split.items():
                check_split(name)
                if not share >= 0:
                    raise ValueError(f"split: the share of {name}: expected 0 or more, got {share}")
            if not sum(self.split.values()) > 0:
                raise ValueError("split: expected a share above 0 for at least one split")
        if self.extension not in IMAGE_EXTENSIONS:
            raise ValueError(
                f"extension: expected one of {', '.join(sorted(IMAGE_EXTENSIONS))}, "
                f"found {self.extension!r}"
            )
        for name in ("min_difference", "min_sharpness"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected 0 or more, found {getattr(self, name)}")
        if self.detections not in ("off", "labels", "predictions"):
            raise ValueError(
                f"detections: expected off, labels or predictions, found {self.detections!r}"
            )


def choose_split(split: str | Mapping[str, float], counts: Mapping[str, int]) -> str:
    """Return the split that a new burst goes to: the one that lacks most of its share.

    Parameters
    ----------
    split : str or mapping of str to float
        As in `CaptureSettings`.
    counts : mapping of str to int
        Images that the splits have already.
    """
    if isinstance(split, str):
        return split
    whole = sum(split.values())
    total = sum(counts.get(name, 0) for name in split) + 1
    return max(split, key=lambda name: split[name] / whole * total - counts.get(name, 0))
