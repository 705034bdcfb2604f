"""Which form of an answer a client would rather have: the header ``Accept`` (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request

from workbench.api.problems import ProblemError

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def wanted_form(request: Request, offered: Sequence[str]) -> str:
    """Return the media type, of those that we can send, that a client likes best.

    Parameters
    ----------
    request : Request
    offered : sequence of str
        Between equals the first one is taken.

    Raises
    ------
    ProblemError
        406 if it accepts none of them.
    """
    # Nothing between commas, or nothing at all, says nothing: whatever we have will do.
    accept = ",".join(request.headers.getlist("accept"))
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    ranked = []
    for place, form in enumerate(offered):
        quality, exactness, position = _liking(form, ranges)
        if quality > 0:
            ranked.append((-quality, -exactness, position if exactness == _EXACT else 0, place))
    if not ranked:
        raise ProblemError(
            406, f"Accept: expected one of {', '.join(offered)}, found {accept!r}", kind="format"
        )
    return offered[min(ranked)[-1]]


_EXACT = 2


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    return name, float(weight) if _QUALITY.fullmatch(weight) else 0.0


def _liking(form: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int, int]:
    """Return how much a form is liked, by the most exact range that holds it, and where that is."""
    exactness_of = {form: _EXACT, f"{form.partition('/')[0]}/*": 1, "*/*": 0}
    found = [
        (exactness_of[name], -position, quality)
        for position, (name, quality) in enumerate(ranges)
        if name in exactness_of
    ]
    if not found:
        return 0.0, 0, 0
    exactness, position, quality = max(found)
    return quality, exactness, -position
