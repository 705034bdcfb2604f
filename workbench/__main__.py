"""Let ``python -m workbench`` do what the ``workbench`` command does."""

from __future__ import annotations

import sys

from workbench.cli import main

sys.exit(main())
