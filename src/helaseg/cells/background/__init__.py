"""Resin and cells: the background of a slice."""
