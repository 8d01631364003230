"""Models that leave: files that others can read."""
