"""What several test modules need and no test is."""
