"""Cells in probed slices, linked through z, and the boxes around them."""
