"""What several panels are made of: parts, status, work in the background, front end."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The front end that widgets share."""

LOOK = (STATIC / "theme.css", STATIC / "controls.css")
"""Style sheets of every panel, before its own: sizes and colours, and the parts made of them."""
