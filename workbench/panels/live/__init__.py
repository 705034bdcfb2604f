"""What shows a camera or a video in a page: for the panels that capture and try models."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The front end of what is live; `camera.css` is the style sheet."""
