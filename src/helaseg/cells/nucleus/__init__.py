"""Nuclei: what the images show of them, and their outlines through the slices."""
