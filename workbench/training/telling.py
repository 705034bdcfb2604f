"""Telling what happens to a run from outside of the process that trains."""

from __future__ import annotations

from workbench.persistence.run_folder import RunFolder
from workbench.training.events import Event, format_event, parse_event


def tell(folder: RunFolder, event: Event) -> None:
    """Append an event to a run that no process is writing to."""
    folder.drop_half_event()
    folder.append_event(format_event(event))


def has_ended(folder: RunFolder) -> bool:
    """Whether the last that was told of a run is a last word."""
    lines, _ = folder.read_events()
    return bool(lines) and parse_event(lines[-1]).final
