"""The stores over HTTP: an app of its own, or routers for somebody else's.

::

    app = create_app(data_dir="data")                       # uvicorn.run(app)

    @asynccontextmanager
    async def lifespan(app):                                # or in an app of yours
        async with open_state(data_dir="data") as app.state.workbench:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(api_router, prefix="/workbench")
    add_problem_handlers(app)

Needs the extra ``api``: ``pip install "yolo-workbench[api]"``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.api.app import create_app as create_app
    from workbench.api.problems import add_problem_handlers as add_problem_handlers
    from workbench.api.routers import api_router as api_router
    from workbench.api.settings import ApiLimits as ApiLimits
    from workbench.api.state import ApiState as ApiState
    from workbench.api.state import open_state as open_state
    from workbench.api.state import state_of as state_of

# Loaded when first used: Jupyter imports `workbench.api.proxy` and needs none of these.
_HOME_OF = {
    "ApiLimits": "settings",
    "ApiState": "state",
    "add_problem_handlers": "problems",
    "api_router": "routers",
    "create_app": "app",
    "open_state": "state",
    "state_of": "state",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'workbench.api' has no attribute {name!r}")
    return getattr(import_module(f"workbench.api.{_HOME_OF[name]}"), name)
