"""Tests that need Chromium and a real JupyterLab. A package, so that its fixtures end with it."""
