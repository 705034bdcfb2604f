"""Labels that a model proposes."""
