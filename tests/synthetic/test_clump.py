"""Packed cells: no resin inside the clump, three contacts per cell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import Delaunay

from helaseg.synthetic import PhantomConfig, make_phantom
from helaseg.synthetic.clump import Clump, make_clump
from helaseg.synthetic.scene import make_scene

FLAT = PhantomConfig(
    shape=(32, 240, 240), voxel_size_nm=(100.0, 64.0, 64.0), n_cells=12, packing=1.0,
    mitochondria_per_um3=0.0, debris=0.0,
)  # fmt: skip
DEEP = dataclasses.replace(FLAT, shape=(80, 160, 160), voxel_size_nm=(125.0, 100.0, 100.0))


def contacts(cell, least):
    """Number of neighbours of each cell with at least `least` common faces."""
    n = int(cell.max()) + 1
    table = np.zeros((n, n), int)
    for axis in range(3):
        a = np.moveaxis(cell, axis, 0)
        np.add.at(table, (a[1:].ravel(), a[:-1].ravel()), 1)
    table += table.T
    np.fill_diagonal(table, 0)
    return (table[1:, 1:] >= least).sum(axis=1)


@pytest.fixture(
    scope="module", params=[(FLAT, 0), (FLAT, 1), (DEEP, 0)], ids=["flat", "flat1", "deep"]
)
def packed(request):
    config, seed = request.param
    config = dataclasses.replace(config, seed=seed)
    return make_scene(config), make_phantom(config)


def test_every_cell_touches_three_others(packed):
    _, phantom = packed
    assert contacts(phantom.truth["cell"].read(), 30).min() >= 3


def test_all_cells_are_there_whole_with_their_nuclei(packed):
    _, phantom = packed
    assert all(c.complete and c.has_nucleus for c in phantom.cells)
    ratio = [c.n_nucleus_voxels / c.n_voxels for c in phantom.cells]
    assert 0.2 < np.median(ratio) < 0.45


def test_there_is_no_resin_between_the_centres_of_the_cells(packed):
    scene, phantom = packed
    cell = phantom.truth["cell"].read()
    size = np.asarray(phantom.config.voxel_size_nm)
    centre = scene.placement.cells[:, :3] / size - 0.5
    axes = [1, 2] if phantom.config.shape[0] == 32 else [0, 1, 2]
    hull = Delaunay(centre[:, axes])
    if len(axes) == 2:  # one layer: its middle third
        cell = cell[10:22]
    where = np.stack([g.ravel() for g in np.indices(cell.shape)], axis=1)[:, axes]
    inside = (hull.find_simplex(where) >= 0).reshape(cell.shape)
    # The hull goes through the middle of its outer cells: a wide margin for jitter.
    inside = ndimage.binary_erosion(inside, np.ones((1, 3, 3)), iterations=2)
    assert inside.sum() > 5000
    assert not (inside & (cell == 0)).any()


def enclosed_pockets(phantom):
    """Voxels in each piece of resin that cells close off from the outside."""
    resin = np.pad(phantom.truth["cell"].read() == 0, 1, constant_values=True)
    found, _ = ndimage.label(resin)
    return np.sort(np.bincount(found.ravel())[1:])[:-1]


def test_blebs_on_the_surface_enclose_nothing_but_crevices(packed):
    pockets = enclosed_pockets(packed[1])
    assert pockets.max(initial=0) < 30
    assert pockets.sum() < 1e-3 * packed[1].truth["cell"].read().astype(bool).sum()


@pytest.mark.parametrize("config", [FLAT, DEEP], ids=["flat", "deep"])
def test_without_blebs_no_resin_is_enclosed(config):
    assert enclosed_pockets(make_phantom(config, protrusions=0.0)).size == 0


def test_resin_is_all_around_the_clump(packed):
    _, phantom = packed
    cell = phantom.truth["cell"].read()
    for face in (cell[0], cell[-1], cell[:, 0], cell[:, -1], cell[:, :, 0], cell[:, :, -1]):
        assert not face.any()


def test_a_wanted_border_cell_is_still_cut():
    made = make_phantom(FLAT, n_border_cells=2)
    assert sum(not c.complete for c in made.cells) >= 2


def test_few_or_collinear_cells_make_a_clump_without_a_hull():
    line = np.array([[100.0, 0.0, 50.0 * k] for k in range(5)])
    for centre in (line[:2], line):
        clump = make_clump(centre, 50.0, 200.0, flat=True)
        assert clump.faces.shape == (0, 4)
    made = make_phantom(FLAT, n_cells=2, shape=(8, 100, 160))
    assert contacts(made.truth["cell"].read(), 10).tolist() == [1, 1]


def test_depth_of_a_clump_of_one_layer():
    square = np.array([[50.0, y, x] for y in (0.0, 100.0) for x in (0.0, 100.0)])
    clump = make_clump(square, 40.0, 100.0, flat=True)
    assert isinstance(clump, Clump)
    far = np.full((1, 3), -1e6, np.float32)
    at = (50.0, 50.0, -50.0, 10.0, 100.0)  # x = -50, 50, 150
    depth = clump.depth(far, far, at)[0]
    assert depth[0] == pytest.approx(-50, abs=1)
    assert depth[2] == pytest.approx(-50, abs=1)
    assert 25 < depth[1] < 42  # 50 nm from the sides, 42 from above: the edge is rounded
    above = clump.depth(far, far, (100.0, 50.0, 50.0, 10.0, 1.0))
    assert above[0, 0] == pytest.approx(-8, abs=1)
