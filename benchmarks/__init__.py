"""Kernels of helaseg beside the fastest libraries a user could call instead."""
