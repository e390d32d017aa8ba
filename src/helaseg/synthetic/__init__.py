"""Phantoms: volumes that look like SBF-SEM of HeLa cells, with exact truth."""

from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.phantom import CellDescription, Phantom, make_phantom
from helaseg.synthetic.writer import write_phantom

__all__ = ["CellDescription", "Phantom", "PhantomConfig", "make_phantom", "write_phantom"]
