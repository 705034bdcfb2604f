"""Training runs: configuration, events, the runner in this process and the worker in its own."""
