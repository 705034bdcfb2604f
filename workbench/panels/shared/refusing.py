"""Messages of a page that the kernel does not know: from a front end of another version, say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger(__name__)


def refusal(message: Mapping[str, Any]) -> str:
    """Note in the log that a message was refused; return what the panel says about it."""
    kind = message.get("kind")
    _log.warning("a message of the page was refused: it is of the kind %r", kind)
    return f"The page sent something unknown: {kind!r}"
