"""Feeds, where frames come from, and the controller that makes images of them."""
