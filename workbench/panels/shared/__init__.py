"""What several panels are made of: parts, status, work in the background, front end."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The front end that widgets share; `theme.css` holds the colours of all of them."""
