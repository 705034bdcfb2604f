"""Bodies about jobs, and about the server."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from workbench.api.jobs import Job
from workbench.api.schemas.common import with_example


class JobStatus(BaseModel):
    """Work that goes on while nobody waits."""

    model_config = with_example(
        {
            "id": "0f1e2d3c4b5a6978",
            "kind": "import",
            "dataset": "cups",
            "state": "failed",
            "done": 120,
            "total": 400,
            "created_at": 1767268800.0,
            "ended_at": 1767268812.5,
            "result": {},
            "problem": {
                "type": "urn:workbench:archive",
                "title": "Not acceptable as it is",
                "status": 422,
                "detail": "cups.zip: expected a zip archive, found something else",
            },
            "stopping": False,
            "has_file": False,
        }
    )

    id: str
    kind: str
    dataset: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int = Field(description="0 while nobody knows.")
    created_at: float
    ended_at: float | None
    result: Any = None
    problem: dict[str, Any] | None = Field(description="Why it failed, as an error's body.")
    stopping: bool = Field(description="Cancelled, and on its way to the next step, where it ends.")
    has_file: bool = Field(description="Whether /jobs/{id}/file has something to download.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """Make one of a job."""
        made: dict[str, Any] = {
            "has_file": job.file is not None,
            "stopping": job.cancelling and not job.is_over,
        }
        plain = {name: getattr(job, name) for name in cls.model_fields if name not in made}
        return cls(**plain, **made)


class JobList(BaseModel):
    """The jobs that are known, oldest first."""

    items: list[JobStatus]


class ServerStatus(BaseModel):
    """What a client learns of the server."""

    version: str
    name: Literal["workbench"] = "workbench"
