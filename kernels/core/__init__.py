"""The machinery below every operation."""
