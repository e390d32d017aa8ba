"""Measures of nuclei and cells."""
