"""Where the token comes from when nobody reads it from the screen."""

from __future__ import annotations

TOKEN_VARIABLE = "WORKBENCH_API_TOKEN"
"""The environment variable that sets the token."""
