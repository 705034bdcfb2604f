"""Keys with bytes, and where they are kept."""
