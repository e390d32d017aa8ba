"""The version of helaseg, at the ground: every room may ask for it."""

__version__ = "0.1.0"
