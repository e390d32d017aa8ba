from __future__ import annotations

import dataclasses

import matplotlib
import numpy as np
import pytest

from helaseg.cells.shape.describe import describe_cell
from helaseg.core.grid import Grid
from helaseg.core.results import SegmentationResult
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import GridMismatchError
from helaseg.report import style, surfaces
from helaseg.report.figures import plot_cell_shape
from helaseg.report.surfaces import look_at, render_solids

GRID = Grid(shape=(40, 90, 120), voxel_size_nm=(50, 20, 20), offset_nm=(500, 1000, 2000))


@pytest.fixture(scope="module", autouse=True)
def small_solids():
    """What the solids look like is tested on small pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surfaces, "_SIZE_PX", 120)
        yield


def places(grid=GRID):
    return np.ix_(
        *(
            (np.arange(n) - (n - 1) / 2) * s
            for n, s in zip(grid.shape, grid.voxel_size_nm, strict=True)
        )
    )


def segmented(nucleus, cell, **more):
    labels = np.where(nucleus, 2, cell.astype(np.uint8)).astype(np.uint8)
    volumes = {"labels": labels, "nucleus": nucleus.astype(np.uint8), "cell": cell.astype(np.uint8)}
    return SegmentationResult(
        **{k: LabelVolume(data=v, grid=GRID) for k, v in volumes.items()}, **more
    )


@pytest.fixture(scope="module")
def dented():
    """A nucleus with a hole towards +x in a cell twice as long along x as along y."""
    z, y, x = places()
    cell = (z / 900) ** 2 + (y / 800) ** 2 + (x / 1100) ** 2 <= 1
    nucleus = (z**2 + y**2 + x**2 <= 700**2) & ~((z**2 + y**2 <= 200**2) & (x > 100))
    return segmented(nucleus, cell)


@pytest.fixture(scope="module")
def figure(dented):
    return plot_cell_shape(dented)


def texts_of(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def axes_labelled(figure, x, y):
    return next(a for a in figure.axes if (a.get_xlabel(), a.get_ylabel()) == (x, y))


def test_sections_are_in_the_aspect_of_the_specimen_and_in_um(figure):
    xz = axes_labelled(figure, "x (µm)", "z (µm)")
    assert xz.get_xlim() == (0, pytest.approx(2.4))
    assert xz.get_ylim() == (pytest.approx(2.0), 0)
    for ax in figure.axes[:3]:
        box = ax.get_window_extent()
        wide = abs(np.diff(ax.get_xlim())[0])
        high = abs(np.diff(ax.get_ylim())[0])
        assert box.width / box.height == pytest.approx(wide / high, rel=0.02)


def test_outlines_lie_where_the_masks_do(figure):
    xy = figure.axes[0]
    outlines = [c.get_paths()[0].vertices for c in xy.collections if c.get_paths()]
    cell, nucleus = sorted(outlines, key=lambda v: -np.ptp(v[:, 0]))
    # Middle of the crop: 1.2 µm in x, 0.9 µm in y.
    np.testing.assert_allclose(cell.min(axis=0), [0.1, 0.1], atol=0.03)
    np.testing.assert_allclose(cell.max(axis=0), [2.3, 1.7], atol=0.03)
    np.testing.assert_allclose(nucleus.min(axis=0), [0.5, 0.2], atol=0.03)


def test_table_says_what_was_measured(figure, dented):
    texts = texts_of(figure)
    shape = describe_cell(dented.nucleus.data != 0, dented.cell.data != 0, GRID)
    m = shape.measurements
    assert "sphericity of nucleus, cell" in texts
    assert "  1  invagination" in texts
    volume = texts[texts.index("volume of nucleus, cell") + 1]
    first, second = volume.removesuffix(" µm³").split(", ")
    assert float(first) == pytest.approx(m["nucleus_volume_um3"], rel=0.02)
    assert float(second) == pytest.approx(m["cell_volume_um3"], rel=0.02)
    assert texts[texts.index("invaginations, tunnels") + 1] == "1, 0"
    assert texts[texts.index("pieces, handles, cavities") + 1] == "1, 0, 0"


def test_measurements_of_the_result_come_first(dented):
    known = dataclasses.replace(dented, measurements={"nucleus_to_cell_ratio": 0.4321})
    texts = texts_of(plot_cell_shape(known))
    assert texts[texts.index("nucleus to cell ratio") + 1] == "0.432"


def test_the_map_shows_the_hole_at_its_place(figure):
    (ax,) = (a for a in figure.axes if a.name == "mollweide")
    mesh = ax.collections[0]
    assert mesh.get_cmap().name == "RdBu_r"
    low, high = mesh.get_clim()
    assert low == -high
    values = np.asarray(mesh.get_array())
    rows, columns = values.shape
    # x is in the middle of the map; the hole is a deep place there and nowhere else.
    assert values[rows // 2, columns // 2] < -300
    assert abs(values[rows // 2, columns // 4]) < 100
    numbers = {t.get_text(): t.get_position() for t in ax.texts}
    np.testing.assert_allclose(numbers["1"], (0, 0), atol=0.1)
    labels = [a.get_ylabel() for a in figure.axes]
    assert "distance (nm), positive outside" in labels


def test_a_bump_towards_y_and_the_first_slices_is_up_and_left():
    z, y, x = places()
    ball = z**2 + y**2 + x**2 <= 600**2
    bump = (z + 450) ** 2 + (y - 450) ** 2 + x**2 <= 200**2
    shape = describe_cell(ball | bump, None, GRID)
    figure = plot_cell_shape(segmented(ball | bump, np.zeros(GRID.shape, bool)), shape=shape)
    (ax,) = (a for a in figure.axes if a.name == "mollweide")
    mesh = ax.collections[0]
    row, column = np.unravel_index(np.asarray(mesh.get_array()).argmax(), (90, 180))
    corners = np.asarray(mesh.get_coordinates())
    longitude, latitude = corners[row, column]
    assert longitude == pytest.approx(-np.pi / 2, abs=0.3)
    assert latitude == pytest.approx(np.pi / 4, abs=0.3)


def test_the_image_lies_beneath(dented):
    grey = np.random.default_rng(0).integers(0, 255, GRID.shape).astype(np.uint8)
    raw = Volume(data=grey, grid=GRID)
    figure = plot_cell_shape(dented, raw=raw)
    images = [ax.images[0].get_array().shape for ax in figure.axes[:3]]
    assert images == [(45, 60), (45, 40), (40, 60)]
    other = Volume(data=grey, grid=dataclasses.replace(GRID, voxel_size_nm=(50, 10, 10)))
    with pytest.raises(GridMismatchError, match="'raw' and 'labels'"):
        plot_cell_shape(dented, raw=other)


def test_nothing_found_is_no_error():
    nothing = np.zeros(GRID.shape, bool)
    texts = texts_of(plot_cell_shape(segmented(nothing, nothing)))
    assert "no nucleus to map" in texts
    assert texts[texts.index("invaginations, tunnels") + 1] == "–, –"


def test_equal_results_give_equal_pictures(dented, figure):
    again = style.figure_pixels(plot_cell_shape(dented))
    np.testing.assert_array_equal(style.figure_pixels(figure), again)


# --- solids


def test_the_view_is_no_mirror_image():
    view = look_at(np.ones((4, 8, 8), bool), GRID)
    right, down, away = view.frame
    np.testing.assert_allclose(view.frame @ view.frame.T, np.eye(3), atol=1e-12)
    # z, y, x: right-handed as x, y, z are.
    np.testing.assert_allclose(np.cross(right[::-1], down[::-1]), away[::-1], atol=1e-12)
    assert down[0] > 0.9
    assert right[0] == pytest.approx(0)


def test_solids_are_where_they_are_and_glass_lets_through():
    z, y, x = places()
    ball = z**2 + y**2 + x**2 <= 500**2
    shell = z**2 + y**2 + x**2 <= 800**2
    view = look_at(shell, GRID)
    alone = render_solids([(ball, style.NUCLEUS, False)], GRID, view)
    rows, columns = np.nonzero((alone < 1).any(axis=2))
    middle = (len(alone) - 1) / 2
    assert rows.mean() == pytest.approx(middle, abs=2)
    assert columns.mean() == pytest.approx(middle, abs=2)
    diameter = 1000 / view.width_nm * len(alone)
    assert np.ptp(rows) == pytest.approx(diameter, rel=0.04)
    both = render_solids([(ball, style.NUCLEUS, False), (shell, style.CELL, True)], GRID, view)
    centre = both[len(both) // 2, len(both) // 2]
    yellow, blue = (np.array(matplotlib.colors.to_rgb(c)) for c in (style.NUCLEUS, style.CELL))
    assert np.linalg.norm(centre - yellow) < np.linalg.norm(centre - blue)
    # Lit from above and the left.
    lit = alone.sum(axis=2)
    up = lit[int(middle - 0.3 * diameter), int(middle - 0.2 * diameter)]
    low = lit[int(middle + 0.3 * diameter), int(middle + 0.2 * diameter)]
    assert up > low + 0.3
    np.testing.assert_array_equal(both[0, 0], 1)
