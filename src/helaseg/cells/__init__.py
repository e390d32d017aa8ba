"""Whole cells without learning: one step per file, one frozen config beside each."""
