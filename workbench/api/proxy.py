"""The server behind Jupyter's own login: an entry for jupyter-server-proxy.

With ``pip install jupyter-server-proxy`` beside Workbench, ``<Jupyter's address>/workbench-api``
starts the server for whoever is logged in, and passes requests on to it. Jupyter knows the
server's token and adds it; nobody else does.
"""

from __future__ import annotations

import secrets
from typing import Any

from workbench.api.token import TOKEN_VARIABLE
from workbench.own_python import own_python, python_path


def setup() -> dict[str, Any]:
    """Return how jupyter-server-proxy starts the server, and what it adds to requests."""
    token = secrets.token_urlsafe(32)
    command = own_python("-m", "workbench", "serve", "--port={port}")
    return {
        "command": [*command, "--root-path={base_url}workbench-api"],
        "environment": {TOKEN_VARIABLE: token, **python_path()},
        "request_headers_override": {"Authorization": f"Bearer {token}"},
        "absolute_url": False,
        "timeout": 60,
        "launcher_entry": {"enabled": False},
    }
