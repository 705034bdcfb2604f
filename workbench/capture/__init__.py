"""Feeds: where frames come from."""
