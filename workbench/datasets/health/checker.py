"""Runs the health checks over a dataset."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from workbench.datasets.duplicates import find_duplicates
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import KINDS, SEVERITIES, Finding, HealthReport
from workbench.datasets.health.registry import CHECKS
from workbench.errors import ConflictError
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress

# What is unchanged is not read again, so that a second look takes a moment.
_LOOKS = 3


class HealthChecker:
    """Looks for everything that is wrong with a dataset.

    Parameters
    ----------
    stores : DataStores
    """

    def __init__(self, stores: DataStores) -> None:
        self._stores = stores

    async def run(
        self,
        dataset: str,
        *,
        progress: Progress = no_progress,
        only: Collection[str] | None = None,
    ) -> HealthReport:
        """Check a dataset. Only images that are new or changed since the last run are read.

        Parameters
        ----------
        progress : callable
            Told the number of images examined, and to examine; raise from it to cancel.
            What was examined until then need not be examined again.
        only : collection of str, optional
            Kinds of findings to look for; default: all `KINDS`.

        Raises
        ------
        ValueError
            If `only` holds a kind that does not exist.
        NotFoundError
            If there is no such dataset.
        ConflictError
            If somebody goes on changing its classes all the while.
        """
        unknown = sorted(set(only or ()) - set(KINDS))
        if unknown:
            raise ValueError(f"only: expected some of {', '.join(KINDS)}; found {unknown[0]!r}")
        evidence = await self._gather(dataset, progress)
        findings = await asyncio.to_thread(_find, evidence, only)
        examined = evidence.duplicates.images.examined
        return HealthReport(dataset, findings, len(evidence.keys), examined)

    async def _gather(self, dataset: str, progress: Progress) -> Evidence:
        """Return labels whose class ids are those of the classes, though others change both."""
        stores = self._stores
        for _ in range(_LOOKS):
            duplicates = await find_duplicates(stores, dataset, measured=True, progress=progress)
            classes = duplicates.images.table.classes
            labels = await stores.label.load_all(dataset)
            inspection = await stores.label.inspect(dataset)
            if (await stores.dataset.get(dataset)).classes == classes:
                return Evidence(classes, duplicates, labels, inspection, stores, dataset)
        raise ConflictError(
            f"{dataset}: its classes were changed during each of {_LOOKS} looks at it; check it "
            f"again when whoever changes them is done"
        )


def _find(evidence: Evidence, only: Collection[str] | None) -> list[Finding]:
    findings = [
        finding
        for check in CHECKS
        if only is None or not set(only).isdisjoint(check.kinds)
        for finding in check.run(evidence)
        if only is None or finding.kind in only
    ]
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), KINDS.index(f.kind)))
