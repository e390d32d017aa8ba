"""Crops whose resin is dark or absent, or whose grey values are those of a negative."""

from __future__ import annotations

import numpy as np
import pytest

from helaseg.cells.nucleus.masks import jaccard
from helaseg.core.objects import CellFlag
from helaseg.core.volume import Volume
from helaseg.pipelines.classical import segment
from helaseg.synthetic import Phantom, make_case


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return make_case("plain")


def scores(made: Phantom, image: Volume) -> tuple[float, float, CellFlag]:
    """Jaccard of nucleus and cell of the first cell, and the flags of the result."""
    truth = {name: made.truth[name].read() == 1 for name in ("nucleus", "cell")}
    where = np.argwhere(truth["nucleus"]).mean(axis=0)
    result = segment(image, target_vx=tuple(float(v) for v in where))
    found = {"nucleus": result.nucleus.read() > 0, "cell": result.cell.read() > 0}
    nucleus, cell = (jaccard(truth[name], found[name]) for name in ("nucleus", "cell"))
    return nucleus, cell, result.flags


def test_a_negative_is_told_and_segmented_alike(plain):
    nucleus, cell, flags = scores(plain, plain.image)
    assert CellFlag.INVERTED_RESIN not in flags
    negative = Volume(data=255 - plain.image.read(), grid=plain.image.grid, name="negative")
    same_nucleus, same_cell, flags = scores(plain, negative)
    assert CellFlag.INVERTED_RESIN in flags
    assert same_nucleus == pytest.approx(nucleus, abs=0.01)
    assert same_cell == pytest.approx(cell, abs=0.02)


def test_dark_resin_is_told_and_found():
    made = make_case("inverted_resin")
    nucleus, cell, flags = scores(made, made.image)
    assert CellFlag.INVERTED_RESIN in flags
    assert nucleus > 0.93
    assert cell > 0.9


def test_without_resin_it_is_said():
    made = make_case("no_resin")
    nucleus, cell, flags = scores(made, made.image)
    assert CellFlag.NO_RESIN in flags
    assert nucleus > 0.9
    assert cell > 0.8
