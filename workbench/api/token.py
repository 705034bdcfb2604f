"""Where the token comes from when nobody reads it from the screen."""

from __future__ import annotations

import re

TOKEN_VARIABLE = "WORKBENCH_API_TOKEN"
"""The environment variable that sets the token."""


def is_token(text: str) -> bool:
    """Whether a header can carry it as it is: visible ASCII, no spaces and no new lines."""
    return re.fullmatch(r"[!-~]+", text) is not None
