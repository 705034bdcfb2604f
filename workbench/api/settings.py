"""What the server allows: who may come, how much may be sent, how much may be under way."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds that keep one client from taking the whole machine.

    Parameters
    ----------
    max_json_bytes : int
        Of a request that is no upload.
    max_image_bytes, max_pixels : int
        Of a single image.
    max_upload_bytes : int
        Of a whole upload: many images, an archive, weights.
    requests_per_second, burst : float
        For each client address; so many may come at once, and so many follow each second.
    failures_per_second : float
        Requests with a wrong token that are looked at, of all clients together.
    max_requests : int
        Under way at the same time.
    max_jobs, max_waiting_jobs : int
        Jobs that run at the same time, and that may wait for their turn.
    max_captures : int
        Captures that are open at the same time.
    max_page : int
        Entries of a page.
    """

    max_json_bytes: int = 32 * MEGABYTE
    max_image_bytes: int = 64 * MEGABYTE
    max_pixels: int = 100_000_000
    max_upload_bytes: int = 64 * 1024 * MEGABYTE
    requests_per_second: float = 1000.0
    burst: float = 2000.0
    failures_per_second: float = 5.0
    max_requests: int = 200
    max_jobs: int = 2
    max_waiting_jobs: int = 50
    max_captures: int = 8
    max_page: int = 5000
