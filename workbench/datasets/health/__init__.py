"""What is wrong with a dataset, why it matters, and how to put it right."""

from workbench.datasets.health.checker import HealthChecker
from workbench.datasets.health.findings import KINDS, SEVERITIES, Finding, HealthReport, Repair
from workbench.datasets.health.registry import CHECKS

__all__ = ["CHECKS", "KINDS", "SEVERITIES", "Finding", "HealthChecker", "HealthReport", "Repair"]
