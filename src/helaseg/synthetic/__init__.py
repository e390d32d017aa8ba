"""Phantoms: volumes that look like SBF-SEM of HeLa cells, with exact truth."""

from helaseg.synthetic.cases import CASE_GRID, CASES, make_case
from helaseg.synthetic.config import PhantomConfig
from helaseg.synthetic.drawing import CellDescription
from helaseg.synthetic.from_labels import phantom_from_labels, render_labels
from helaseg.synthetic.paint import RenderedSlice
from helaseg.synthetic.phantom import Phantom, make_phantom
from helaseg.synthetic.textures import TextureConfig
from helaseg.synthetic.writer import write_case, write_phantom

__all__ = [
    "CASES",
    "CASE_GRID",
    "CellDescription",
    "Phantom",
    "PhantomConfig",
    "RenderedSlice",
    "TextureConfig",
    "make_case",
    "make_phantom",
    "phantom_from_labels",
    "render_labels",
    "write_case",
    "write_phantom",
]
