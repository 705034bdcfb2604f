"""Text prompts (for YOLO-World and its like) by class id, as they are kept."""

from __future__ import annotations

import json
from typing import Any

from workbench.errors import InvalidDatasetError
from workbench.persistence.foreign_text import is_whole
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json

_EXPECTED = "prompts by class id"


def prompts_from(data: bytes, path: str) -> dict[int, list[str]]:
    """Read the bytes of the file that holds prompts; `path` is for the message."""
    try:
        content: Any = parse_json(data, path, _EXPECTED)
        prompts = {int(class_id): list(texts) for class_id, texts in content.items()}
    except InvalidDatasetError:
        raise
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
    if not all(isinstance(t, str) and is_whole(t) for texts in prompts.values() for t in texts):
        raise malformed(path, _EXPECTED, "prompts that are no text")
    return prompts


def prompts_bytes(prompts: dict[int, list[str]]) -> bytes:
    """Return the bytes of the file that holds prompts."""
    return json.dumps(prompts, ensure_ascii=False, indent=1).encode()
