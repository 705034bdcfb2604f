"""The actions of the box canvas and the keys that start them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "static" / "keys.json"
ACTIONS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))


def key_bindings(changes: Mapping[str, str | Sequence[str]] | None = None) -> dict[str, list[str]]:
    """Return the keys of every action, some of them changed.

    Parameters
    ----------
    changes : mapping of str to str or sequence of str
        Action (see ``keys.json``) to its keys, such as ``"K"``, ``"Mod+K"`` (Ctrl, or
        Command on a Mac), ``"Shift+ArrowUp"``. No key: the action has none.

    Raises
    ------
    ValueError
        If an action does not exist, or two actions would share a key, or a digit is
        taken, which stands for a class, or Space, which moves the picture.
    """
    bindings = {str(item["action"]): list(item["keys"]) for item in ACTIONS}
    for action, keys in (changes or {}).items():
        if action not in bindings:
            raise ValueError(f"no action {action!r}; there are {', '.join(sorted(bindings))}")
        bindings[action] = [keys] if isinstance(keys, str) else list(keys)
    owner: dict[str, str] = {}
    for action, keys in bindings.items():
        for key in keys:
            if key in set("0123456789"):
                raise ValueError(f"key {key!r} stands for a class and cannot start {action!r}")
            if key == "Space":
                raise ValueError(
                    f"Space moves the picture under the hand; it cannot start {action!r}"
                )
            if key in owner:
                raise ValueError(
                    f"key {key!r} would start both {owner[key]!r} and {action!r}; "
                    f"give one of them another key"
                )
            owner[key] = action
    return bindings
