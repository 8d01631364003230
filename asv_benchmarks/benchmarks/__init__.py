"""What asv measures: every kernel that costs time, training, data loading and starting."""
