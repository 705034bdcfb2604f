from __future__ import annotations

import pytest

from tests.helpers.training import Trained, trained_once


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished training, shared by all tests that only look at it."""
    return trained_once(request.config, tmp_path_factory.mktemp("trained"))
