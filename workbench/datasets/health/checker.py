"""Runs the health checks over a dataset."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from workbench.datasets.duplicates import find_duplicates
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import KINDS, SEVERITIES, Finding, HealthReport
from workbench.datasets.health.registry import CHECKS
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress


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
        """
        unknown = sorted(set(only or ()) - set(KINDS))
        if unknown:
            raise ValueError(f"only: expected some of {', '.join(KINDS)}; found {unknown[0]!r}")
        duplicates = await find_duplicates(self._stores, dataset, measured=True, progress=progress)
        evidence = Evidence(
            classes=duplicates.images.table.classes,
            duplicates=duplicates,
            labels=await self._stores.label.load_all(dataset),
            inspection=await self._stores.label.inspect(dataset),
            stores=self._stores,
            dataset=dataset,
        )
        findings = await asyncio.to_thread(_find, evidence, only)
        return HealthReport(dataset, findings, len(evidence.keys), duplicates.images.examined)


def _find(evidence: Evidence, only: Collection[str] | None) -> list[Finding]:
    findings = [
        finding
        for check in CHECKS
        if only is None or not set(only).isdisjoint(check.kinds)
        for finding in check.run(evidence)
        if only is None or finding.kind in only
    ]
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), KINDS.index(f.kind)))
