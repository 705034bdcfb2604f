"""What a panel says where a model cannot look, or finds nothing; nothing is fetched unasked."""

from __future__ import annotations

from workbench.datasets.changes import counted
from workbench.weights.fetching import MissingFilesError

FINDS_MORE = "Label more and train again, or let another model look."
"""What to do where nothing was found."""


def offer_of(error: MissingFilesError) -> dict[str, str]:
    """Return what is missing, in words, and what the button says that fetches it."""
    files = counted(len(error.files), "file", "files")
    return {
        "text": f"{error.need} Fetched files are kept in {error.folder}.",
        "choice": f"Fetch {files} ({error.size / 1e6:,.0f} MB)",
    }
