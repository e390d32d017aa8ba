"""Phantoms: the truth fits together, and the scene is the same at any voxel size."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from helaseg._threads import limit_threads
from helaseg.errors import ParameterError
from helaseg.synthetic import PhantomConfig, make_phantom
from helaseg.synthetic.drawing import most_workers
from helaseg.synthetic.placement import mean_radius_nm
from helaseg.synthetic.render import render_slice, scene_drawing
from helaseg.synthetic.scene import make_scene

SMALL = PhantomConfig(shape=(32, 320, 384), voxel_size_nm=(100.0, 40.0, 40.0), n_cells=6)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(SMALL)


@pytest.fixture(scope="module")
def truth(phantom):
    return {name: labels.read() for name, labels in phantom.truth.items()}


def test_types_and_grid(phantom, truth):
    assert phantom.image.read().dtype == np.uint8
    assert list(truth) == ["cell", "nucleus", "envelope", "mitochondria"]
    for labels in phantom.truth.values():
        assert labels.grid == phantom.image.grid == SMALL.grid
        assert np.dtype(labels.data.dtype).kind == "u"
    assert [cell.id for cell in phantom.cells] == [1, 2, 3, 4, 5, 6]


def test_a_nucleus_lies_in_its_own_cell_away_from_its_surface(truth):
    inside = truth["nucleus"] > 0
    np.testing.assert_array_equal(truth["cell"][inside], truth["nucleus"][inside])
    # 130 nm of cytoplasm are kept by a first-order distance: mostly three pixels of 40 nm.
    resin = truth["cell"] == 0
    assert not (ndimage.binary_dilation(resin, np.ones((1, 3, 3))) & inside).any()
    near = ndimage.binary_dilation(resin, np.ones((1, 5, 5))) & inside
    assert near.sum() < 1e-3 * inside.sum()


def test_the_envelope_straddles_the_border_of_the_nucleus(truth):
    band = truth["envelope"] > 0
    np.testing.assert_array_equal(truth["cell"][band], truth["envelope"][band])
    share = (band & (truth["nucleus"] > 0)).sum() / band.sum()
    assert 0.35 < share < 0.65


def test_envelope_is_about_70_nm_thick_where_it_is_steep():
    # A slice through the middle of one round cell, where the envelope stands upright.
    phantom = make_phantom(
        shape=(3, 500, 500), voxel_size_nm=(50, 10, 10), n_cells=1, cell_radius_nm=2000,
        n_border_cells=0, n_flat_cells=0, seed=4,
    )  # fmt: skip
    z = np.argmax([p.sum() for p in phantom.truth["nucleus"].read() > 0])
    nucleus = ndimage.binary_fill_holes(phantom.truth["nucleus"].slice(z) > 0)
    band = phantom.truth["envelope"].slice(z) > 0
    signed = ndimage.distance_transform_edt(nucleus) - ndimage.distance_transform_edt(~nucleus)
    ring = (abs(signed) >= 1) & (abs(signed) < 2)
    assert band[ring].mean() > 0.95
    area_nm2 = (band & (abs(signed) < 12)).sum() * 100
    length_nm = ring.sum() / 2 * 10
    assert 55 < area_nm2 / length_nm < 95


def test_mitochondria_lie_in_the_cytoplasm_of_one_cell(truth):
    mitos = truth["mitochondria"]
    there = mitos > 0
    assert there.any()
    assert (truth["cell"][there] > 0).all()
    assert (truth["nucleus"][there] == 0).all()
    assert (truth["envelope"][there] == 0).all()
    ids = np.unique(mitos[there])
    low = ndimage.minimum(truth["cell"], mitos, ids)
    high = ndimage.maximum(truth["cell"], mitos, ids)
    np.testing.assert_array_equal(low, high)


def test_a_cell_is_one_piece(truth):
    for ident in np.unique(truth["cell"])[1:]:
        parts, n = ndimage.label(truth["cell"] == ident, ndimage.generate_binary_structure(3, 3))
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()


def test_the_table_of_cells_is_that_of_the_truth(phantom, truth):
    cell = truth["cell"]
    centres = ndimage.center_of_mass(np.ones(cell.shape, np.uint8), cell, range(1, 7))
    for row, centre in zip(phantom.cells, centres, strict=True):
        mask = cell == row.id
        assert row.n_voxels == mask.sum()
        assert row.n_nucleus_voxels == (truth["nucleus"] == row.id).sum()
        assert row.has_nucleus
        np.testing.assert_allclose(row.centroid_vx, centre)
        np.testing.assert_allclose(row.centroid_nm, phantom.image.grid.to_nm(centre))
        slices = np.flatnonzero(mask.any(axis=(1, 2)))
        assert (row.first_slice, row.last_slice) == (slices[0], slices[-1])
        core = mask[1:-1, 1:-1, 1:-1].sum()
        assert row.complete == (core == mask.sum())


def test_most_cells_are_complete_one_is_flat_and_the_border_cuts_some(phantom):
    complete = [c for c in phantom.cells if c.complete]
    assert len(complete) == 5
    heights = sorted(c.height_nm for c in complete)
    assert heights[0] < 0.6 * heights[1]


def test_nucleus_to_cell_ratio_is_real(phantom):
    ratio = [c.n_nucleus_voxels / c.n_voxels for c in phantom.cells if c.complete]
    assert 0.2 < np.median(ratio) < 0.45


def test_equal_settings_give_equal_voxels_and_another_seed_does_not(phantom):
    small = dataclasses.replace(SMALL, shape=(3, 90, 80), n_cells=2)
    a, b, c = make_phantom(small), make_phantom(small), make_phantom(small, seed=1)
    np.testing.assert_array_equal(a.image.read(), b.image.read())
    for name in a.truth:
        np.testing.assert_array_equal(a.truth[name].read(), b.truth[name].read())
    assert a.cells == b.cells
    assert (a.image.read() != c.image.read()).mean() > 0.5


def test_a_slice_does_not_depend_on_what_was_drawn_before(phantom):
    scene = make_scene(SMALL)
    for z in (20, 5):
        alone = render_slice(scene, z)
        np.testing.assert_array_equal(alone.image, phantom.image.slice(z))
        np.testing.assert_array_equal(alone.cell, phantom.truth["cell"].slice(z))
        np.testing.assert_array_equal(alone.mitochondria, phantom.truth["mitochondria"].slice(z))


@pytest.mark.parametrize("n", [1, 3])
def test_the_number_of_threads_changes_no_voxel(n, phantom):
    with limit_threads(n):
        again = make_phantom(SMALL)
    np.testing.assert_array_equal(again.image.read(), phantom.image.read())
    for name, labels in again.truth.items():
        np.testing.assert_array_equal(labels.read(), phantom.truth[name].read())
    assert again.cells == phantom.cells


def test_large_slices_are_drawn_one_by_one():
    small, large = (
        scene_drawing(make_scene(PhantomConfig(shape=(1, n, n), n_cells=0))) for n in (512, 8192)
    )
    assert most_workers(small) >= 16
    assert most_workers(large) == 1


def test_bands_leave_no_seam(monkeypatch):
    config = dataclasses.replace(SMALL, shape=(1, 200, 150), n_cells=2)
    whole = render_slice(make_scene(config), 0)
    monkeypatch.setattr("helaseg.synthetic.render.BAND_ROWS", 33)
    pieces = render_slice(make_scene(config), 0)
    np.testing.assert_array_equal(whole.cell, pieces.cell)
    # The position of a row is rounded differently in a band: one grey value at most.
    different = whole.image.astype(int) - pieces.image
    assert abs(different).max() <= 1
    assert (different != 0).mean() < 0.01


def n_contacts(cell):
    """Pairs of neighbouring voxels that belong to different cells."""
    n = 0
    for axis in range(3):
        a = np.moveaxis(cell, axis, 0)
        n += int(((a[1:] != a[:-1]) & (a[1:] > 0) & (a[:-1] > 0)).sum())
    return n


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cells_touch_when_packed_and_not_when_isolated(seed):
    base = dataclasses.replace(SMALL, seed=seed)
    assert n_contacts(make_phantom(base, packing=0.0).truth["cell"].read()) == 0
    packed = make_phantom(base, packing=1.0).truth["cell"].read()
    assert n_contacts(packed) > 300


@pytest.mark.parametrize("voxel_size_nm", [(50.0, 20.0, 20.0), (100.0, 32.0, 32.0)])
def test_the_scene_does_not_depend_on_the_voxel_size(voxel_size_nm, phantom):
    base = dataclasses.replace(SMALL, jitter_px=0.0)
    shape = tuple(
        round(e / s) for e, s in zip(base.extent_nm, voxel_size_nm, strict=True)
    )  # the same physical box
    finer = make_phantom(base, shape=shape, voxel_size_nm=voxel_size_nm)
    for a, b in zip(phantom.cells, finer.cells, strict=True):
        va = a.n_voxels * phantom.image.grid.voxel_volume_nm3
        vb = b.n_voxels * finer.image.grid.voxel_volume_nm3
        assert vb == pytest.approx(va, rel=0.04)
        na = a.n_nucleus_voxels * phantom.image.grid.voxel_volume_nm3
        nb = b.n_nucleus_voxels * finer.image.grid.voxel_volume_nm3
        assert nb == pytest.approx(na, rel=0.04)
        # Both boxes begin at the same corner, their first voxel centres do not.
        shift = (np.array(SMALL.voxel_size_nm) - voxel_size_nm) / 2
        np.testing.assert_allclose(a.centroid_nm + shift, b.centroid_nm, atol=60)


def test_damaged_slices_look_damaged_and_keep_their_truth(phantom, truth):
    hurt = make_phantom(SMALL, damaged_slices=2)
    assert len(hurt.damaged) == 2
    assert all(4 <= z < 28 for z in hurt.damaged)
    for name in truth:
        np.testing.assert_array_equal(hurt.truth[name].read(), truth[name])
    means = hurt.image.read().mean(axis=(1, 2))
    others = np.delete(means, hurt.damaged)
    assert (means[list(hurt.damaged)] < others.min() - 20).all()
    unhurt = np.delete(np.arange(SMALL.shape[0]), hurt.damaged)
    np.testing.assert_array_equal(hurt.image.read()[unhurt], phantom.image.read()[unhurt])


def test_jitter_shifts_image_and_truth_together():
    config = dataclasses.replace(SMALL, shape=(6, 200, 200), n_cells=1, noise=0.0)
    still, moved = make_phantom(config, jitter_px=0.0), make_phantom(config, jitter_px=6.0)
    scene = make_scene(dataclasses.replace(config, jitter_px=6.0))
    shifts = np.round(scene.jitter_nm / 40.0).astype(int)
    for z, (dy, dx) in enumerate(shifts):
        back = np.roll(moved.truth["cell"].slice(z), (dy, dx), axis=(0, 1))[8:-8, 8:-8]
        assert (back == still.truth["cell"].slice(z)[8:-8, 8:-8]).mean() > 0.96
        grey = np.roll(moved.image.slice(z), (dy, dx), axis=(0, 1))[8:-8, 8:-8].astype(int)
        assert abs(grey - still.image.slice(z)[8:-8, 8:-8]).mean() < 4


def test_grey_values_order_resin_nucleus_envelope(phantom, truth):
    image = phantom.image.read()
    resin = np.median(image[truth["cell"] == 0])
    nucleoplasm = np.median(image[(truth["nucleus"] > 0) & (truth["envelope"] == 0)])
    mitochondria = np.median(image[truth["mitochondria"] > 0])
    assert 185 < resin < 206
    assert 140 < nucleoplasm < 152
    assert mitochondria < nucleoplasm - 8


def test_contrast_noise_protrusions_and_debris_can_be_switched_off():
    config = dataclasses.replace(SMALL, shape=(2, 120, 120), n_cells=1)
    flat = make_phantom(config, contrast=0.0, noise=0.0)
    assert np.unique(flat.image.read()).tolist() == [165]
    scene = make_scene(dataclasses.replace(config, protrusions=0.0, debris=0.0))
    assert len(scene.protrusions[0]) == 0
    assert (scene.organelles.home > 0).all()


def test_resin_can_be_darker_than_cells():
    config = dataclasses.replace(SMALL, shape=(2, 120, 120), n_cells=1)
    dark = make_phantom(config, resin_grey=90.0)
    light = make_phantom(config)
    cell = light.truth["cell"].read()
    np.testing.assert_array_equal(dark.truth["cell"].read(), cell)
    images = [p.image.read().astype(float) for p in (dark, light)]
    assert images[0][cell == 0].mean() < images[0][cell > 0].mean() - 30
    # Cells stay as they are but for the blur at their border.
    core = ndimage.binary_erosion(cell > 0, np.ones((1, 5, 5)))
    np.testing.assert_array_equal(images[0][core], images[1][core])


def test_no_cells_is_resin():
    empty = make_phantom(shape=(2, 64, 64), n_cells=0)
    assert empty.cells == ()
    assert not empty.truth["cell"].read().any()
    assert empty.image.read().mean() > 170


def test_a_slab_cuts_cells_of_natural_height():
    config = PhantomConfig(shape=(2, 100, 100), voxel_size_nm=(50, 100, 100), n_cells=2)
    radius, height = mean_radius_nm(config)
    assert height == pytest.approx(0.6 * radius)
    assert not any(cell.complete for cell in make_phantom(config).cells)


def test_deep_volumes_get_round_cells_of_at_most_natural_size():
    deep = PhantomConfig(shape=(500, 2000, 2000), voxel_size_nm=(50, 40, 40), n_cells=30)
    radius, height = mean_radius_nm(deep)
    assert 5000 < radius <= 7000
    assert height > 0.8 * radius


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 50), st.integers(1, 50)),
    size=st.tuples(st.floats(10, 200), st.floats(4, 150), st.floats(4, 150)),
    n_cells=st.integers(0, 5),
    packing=st.floats(0, 1),
    seed=st.integers(0, 2**40),
)
def test_any_shape_and_voxel_size_works(shape, size, n_cells, packing, seed):
    phantom = make_phantom(
        shape=shape, voxel_size_nm=size, n_cells=n_cells, packing=packing, seed=seed
    )
    assert phantom.image.shape == shape
    cell, nucleus = (phantom.truth[k].read() for k in ("cell", "nucleus"))
    assert cell.max(initial=0) <= n_cells
    assert (cell[nucleus > 0] == nucleus[nucleus > 0]).all()
    assert [c.n_voxels for c in phantom.cells] == [(cell == c.id).sum() for c in phantom.cells]


def test_config_survives_pickling_and_knows_its_extent():
    assert pickle.loads(pickle.dumps(SMALL)) == SMALL
    assert SMALL.extent_nm == (3200.0, 12800.0, 15360.0)
    assert dataclasses.replace(SMALL, packing=1.0).gap_nm == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (0, 5, 5)}, "'shape' must be at least 1 along z, y and x, got"),
        ({"shape": (5, 5)}, "'shape' must be three integers"),
        ({"voxel_size_nm": (50, 0, 10)}, "'voxel_size_nm' must be positive"),
        ({"n_cells": -1}, "'n_cells' must be a whole number from 0 on, got -1"),
        ({"n_cells": 2.5}, "'n_cells' must be a whole number from 0 on, got 2.5"),
        ({"n_cells": 70000}, "'n_cells' must lie between 0 and 65535"),
        ({"n_border_cells": 9}, "'n_border_cells' must lie between 0 and 8"),
        ({"seed": True}, "'seed' must be a whole number from 0 on, got True"),
        ({"packing": 1.5}, "'packing' must lie between 0.0 and 1.0, got 1.5"),
        ({"cell_radius_nm": 0.0}, "'cell_radius_nm' must be positive, got 0.0"),
        ({"nucleus_fraction": 1.0}, "'nucleus_fraction' must lie between"),
        ({"envelope_nm": -1.0}, "'envelope_nm' must be positive"),
        ({"resin_grey": 256.0}, "'resin_grey' must lie between 0.0 and 255.0, got 256.0"),
        ({"noise": -1.0}, "'noise' must be zero or positive, got -1.0"),
        ({"damaged_slices": 65}, "'damaged_slices' must lie between 0 and 64"),
        ({"colour": 1}, "a phantom has no setting 'colour'; the settings are shape"),
        ({"config": {}}, "'config' must be a PhantomConfig, got dict"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ParameterError, match=message):
        make_phantom(**changes)
