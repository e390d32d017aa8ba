"""Whole cells up to their plasma membranes."""
