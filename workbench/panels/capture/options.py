"""When a capture panel takes pictures, and how settings travel to its page and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from workbench.capture.settings import CaptureSettings
from workbench.capture.triggers import Every, Motion, Trigger

MODES = ("hand", "burst", "interval", "motion")


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What the record button does.

    Parameters
    ----------
    mode : str
        ``"hand"`` (a tap is one picture, holding is a burst), ``"burst"``, ``"interval"`` or
        ``"motion"`` (a press starts, the next one stops).
    rate : float
        Pictures a second of a burst; 0: every frame.
    every : float
        Seconds from one picture to the next, for ``"interval"``.
    motion : float
        Mean difference of grey values, 0..255, from which on something moves.
    until : int
        Number of pictures after which a recording ends by itself; 0: never. Not by hand.
    countdown : float
        Seconds before the first picture.
    show_boxes : bool
        Whether the active model's boxes are drawn over the preview.
    confidence : float
        Boxes of which the model is less sure, 0..1, are neither drawn nor saved.

    Raises
    ------
    ValueError
        If one of them cannot be; names it.
    """

    mode: str = "hand"
    rate: float = 10.0
    every: float = 5.0
    motion: float = 4.0
    until: int = 0
    countdown: float = 0.0
    show_boxes: bool = False
    confidence: float = 0.25

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r}: expected one of {', '.join(MODES)}")
        for name, least in (("rate", 0), ("every", 0.01), ("until", 0), ("countdown", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name}: expected {least} or more, found {getattr(self, name)}")
        if not 0 < self.confidence <= 1:
            raise ValueError(f"confidence: expected more than 0, up to 1, found {self.confidence}")
        if not self.motion > 0:
            raise ValueError(f"motion: expected more than 0, found {self.motion}")

    @property
    def trigger(self) -> Trigger:
        """When to take a picture."""
        if self.mode == "interval":
            return Every(self.every)
        if self.mode == "motion":
            return Motion(self.motion)
        return Every.rate(self.rate) if self.rate else Every()

    @property
    def limit(self) -> int | None:
        """Number of pictures of a recording."""
        return self.until or None if self.mode != "hand" else None


_OPTIONS = {field.name: field.type for field in fields(CaptureOptions)}
_SETTINGS = {field.name for field in fields(CaptureSettings)}


def changed(
    settings: CaptureSettings, options: CaptureOptions, name: str, value: Any
) -> tuple[CaptureSettings, CaptureOptions]:
    """Return both with one value changed, which came from a page.

    Raises
    ------
    ValueError
        If there is no such setting, or the value cannot be.
    """
    if name in _SETTINGS:
        value = dict(value) if isinstance(value, Mapping) else value
        return replace(settings, **{name: value}), options
    if name not in _OPTIONS:
        raise ValueError(f"there is no setting {name!r}")
    try:
        value = {"int": int, "float": float, "bool": bool, "str": str}[str(_OPTIONS[name])](value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number, found {value!r}") from error
    return settings, replace(options, **{name: value})


def as_message(dataset: str, settings: CaptureSettings, options: CaptureOptions) -> dict[str, Any]:
    """Return all settings as the page gets them."""
    message: dict[str, Any] = {"dataset": dataset}
    for one in (settings, options):
        message |= {field.name: getattr(one, field.name) for field in fields(one)}
    if isinstance(settings.split, Mapping):
        message["split"] = dict(settings.split)
    return message
