from __future__ import annotations

import dataclasses

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helaseg.core.grid import Grid, Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.core.scores import Score, ScoreTable
from helaseg.core.volume import LabelVolume
from helaseg.errors import FailedPictureWarning, GridMismatchError, ParameterError
from helaseg.report import style
from helaseg.report.charts import z_stretch
from helaseg.report.drawn import drawn
from helaseg.report.figures import (
    plot_field,
    plot_orthogonal,
    plot_overlay,
    plot_scores,
    plot_slices,
    plot_tracks,
)

FIELD = Grid(shape=(100, 400, 600), voxel_size_nm=(50, 10, 10))


def track(number, *, y=100.0, x=200.0, zs=(10, 30, 50), flags=CellFlag.NONE):
    points = tuple(Detection(z=z, y=y, x=x, radius_nm=500.0) for z in zs)
    return Track(id=number, detections=points, flags=flags)


def score(metric="jaccard_index", value=0.9, *, unit="1", label="cell", **more):
    return Score(metric=metric, value=value, unit=unit, label=label, **more)


def colours_near(figure, colour, tolerance=40):
    """Number of drawn pixels close to a colour."""
    want = np.array(matplotlib.colors.to_rgb(colour)) * 255
    return int((np.abs(style.figure_pixels(figure) - want).max(axis=2) < tolerance).sum())


# --- overlay


def test_overlay_has_units_scale_bar_and_legend(result, image):
    figure = plot_overlay(image.slice(4), result.labels.slice(4), image.grid, title="middle")
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    assert ax.get_title(loc="left") == "middle"
    assert ax.get_xlim() == (0, pytest.approx(0.8))
    assert ax.get_ylim() == (pytest.approx(0.6), 0)
    assert "0.2 µm" in [t.get_text() for t in ax.texts]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "cell",
        "nucleus",
        "nuclear envelope",
        "other cells",
    ]


def test_overlay_outlines_lie_on_the_borders_of_the_masks(image):
    labels = np.zeros((60, 80), np.uint8)
    labels[10:50, 20:60] = 1
    figure = plot_overlay(None, labels, image.grid, axes=False, legend=False)
    (ax,) = figure.axes
    (outline,) = (c for c in ax.collections if c.get_paths())
    points = outline.get_paths()[0].vertices
    # 10 nm pixels: the square reaches from 0.2 to 0.6 µm in x and 0.1 to 0.5 µm in y.
    np.testing.assert_allclose(points.min(axis=0), [0.2, 0.1], atol=0.002)
    np.testing.assert_allclose(points.max(axis=0), [0.6, 0.5], atol=0.002)


def test_overlay_closes_outlines_at_the_border_of_the_picture(image):
    labels = np.ones((60, 80), np.uint8)
    figure = plot_overlay(None, labels, image.grid, axes=False, legend=False)
    assert len([c for c in figure.axes[0].collections if c.get_paths()]) == 1


def test_overlay_shows_each_class_in_its_colour(image):
    empty = np.zeros((60, 80), np.uint8)
    for value, colour in ((1, style.CELL), (2, style.NUCLEUS)):
        labels = empty.copy()
        labels[20:40, 20:40] = value
        with_class = plot_overlay(None, labels, image.grid, legend=False)
        without = plot_overlay(None, empty, image.grid, legend=False)
        assert colours_near(with_class, colour) > colours_near(without, colour)
    labels = empty.copy()
    labels[20:40, 20:40] = 4
    pixels = style.figure_pixels(plot_overlay(None, labels, image.grid, axes=False, legend=False))
    red, green = pixels[262, 262, :2].astype(int)
    assert red > green + 10


def test_overlay_prefers_the_mask_of_the_nucleus(image):
    labels = np.zeros((60, 80), np.uint8)
    labels[20:40, 20:40] = 2
    nucleus = np.zeros((60, 80), bool)
    nucleus[10:50, 10:70] = True
    figure = plot_overlay(None, labels, image.grid, nucleus=nucleus, legend=False)
    widest = max(
        np.ptp(c.get_paths()[0].vertices[:, 0]) for c in figure.axes[0].collections if c.get_paths()
    )
    assert widest == pytest.approx(0.6, abs=0.005)


def test_overlay_of_anisotropic_pixels_keeps_the_aspect():
    grid = Grid(shape=(1, 100, 100), voxel_size_nm=(50, 20, 10))
    figure = plot_overlay(np.zeros((100, 100)), None, grid, axes=False, size_px=400)
    high, wide = style.figure_pixels(figure).shape[:2]
    assert (high, wide) == (400, 200)


def test_overlay_takes_the_limits_of_the_grey_values(image):
    flat = np.full((60, 80), 50, np.uint8)
    figure = plot_overlay(flat, None, image.grid, limits=(0, 100), axes=False)
    assert np.asarray(figure.axes[0].images[0].get_array()) == pytest.approx(0.5)


def test_overlay_of_an_image_without_a_finite_value(image):
    figure = plot_overlay(np.full((60, 80), np.nan), None, image.grid, axes=False)
    assert np.asarray(figure.axes[0].images[0].get_array()) == pytest.approx(0.0)


def test_overlay_shrinks_large_images():
    grid = Grid(shape=(1, 3000, 1500), voxel_size_nm=(50, 10, 10))
    image = np.zeros((3000, 1500), np.uint8)
    figure = plot_overlay(image, None, grid, axes=False, size_px=300)
    assert figure.axes[0].images[0].get_array().shape == (300, 150, 3)


@settings(max_examples=20, deadline=None)
@given(
    image=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, np.float64, bool]),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
    ),
    seed=st.integers(0, 5),
)
def test_overlay_draws_any_image(image, seed):
    labels = np.random.default_rng(seed).integers(0, 5, image.shape)
    image.flags.writeable = False
    before = image.copy()
    grid = Grid(shape=(1, *image.shape), voxel_size_nm=(50, 10, 10))
    figure = plot_overlay(image[::-1], labels[:, ::-1], grid, axes=False, size_px=60)
    pixels = style.figure_pixels(figure)
    assert max(pixels.shape[:2]) >= 60
    np.testing.assert_array_equal(image, before)


def test_overlay_refuses_what_it_cannot_draw(image):
    with pytest.raises(ParameterError, match="'image' and 'labels' must not both be None"):
        plot_overlay(None, None, image.grid)
    with pytest.raises(ParameterError, match="'labels' must have the shape of 'image'"):
        plot_overlay(np.zeros((3, 4)), np.zeros((4, 3), int), image.grid)
    with pytest.raises(ParameterError, match="'image' must hold at least one pixel"):
        plot_overlay(np.zeros((0, 4)), None, image.grid)
    with pytest.raises(ParameterError, match="'size_px' must be positive"):
        plot_overlay(np.zeros((3, 4)), None, image.grid, size_px=0)


# --- orthogonal


def test_orthogonal_panels_have_units_and_true_aspect(result, image):
    figure = plot_orthogonal(image, result.labels, nucleus=result.nucleus)
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]
    assert labels == [("x (µm)", "y (µm)"), ("z (µm)", "y (µm)"), ("x (µm)", "z (µm)")]
    width, height = figure.get_size_inches()
    for ax in figure.axes:
        box = ax.get_position()
        ratio = (box.width * width) / (box.height * height)
        x_um, y_um = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
        assert ratio == pytest.approx(x_um / y_um, rel=1e-6)
    assert figure.axes[0].get_title(loc="left") == "xy at z = 0.20 µm"


def test_orthogonal_shows_the_sections_through_the_point(result, image):
    marked = image.read().copy()
    marked[:] = 0
    marked[3, 20, 70] = 255
    volume = dataclasses.replace(image, data=marked)
    empty = LabelVolume(data=np.zeros(image.shape, np.uint8), grid=image.grid)
    figure = plot_orthogonal(volume, empty, at_vx=(3, 20, 70))
    peaks = []
    for ax in figure.axes:
        shown = np.asarray(ax.images[0].get_array())[..., 0]
        peaks.append(tuple(int(v) for v in np.unravel_index(shown.argmax(), shown.shape)))
    assert peaks == [(20, 70), (20, 3), (3, 70)]


def test_orthogonal_says_when_z_is_stretched():
    grid = Grid(shape=(2, 200, 200), voxel_size_nm=(50, 10, 10))
    figure = plot_orthogonal(None, LabelVolume(data=np.ones(grid.shape, np.uint8), grid=grid))
    assert figure.axes[1].get_xlabel() == "z stretched ×2.4, (µm)"


def test_orthogonal_reads_one_slice_at_a_time(result):
    class Slices:
        shape, dtype = result.labels.shape, np.dtype(np.uint8)
        read = 0

        def __getitem__(self, key):
            assert isinstance(key[0], int)
            Slices.read += 1
            return np.zeros(self.shape[1:], np.uint8)

    plot_orthogonal(None, LabelVolume(data=Slices(), grid=result.labels.grid))
    assert Slices.read == result.labels.shape[0]


def test_orthogonal_refuses_wrong_input(result, image):
    with pytest.raises(ParameterError, match="'at_vx' must be a voxel"):
        plot_orthogonal(image, result.labels, at_vx=(99, 0, 0))
    other = Grid(shape=image.shape, voxel_size_nm=(60, 10, 10))
    with pytest.raises(GridMismatchError, match="'image' and 'labels' must share one grid"):
        plot_orthogonal(dataclasses.replace(image, grid=other), result.labels)


# --- field and tracks


def test_field_draws_circles_boxes_and_numbers():
    roi = Roi(start=(0, 50, 100), stop=(80, 150, 300))
    tracks = [track(1), track(7, y=300.0, flags=CellFlag.SMALL)]
    figure = plot_field(np.ones((40, 60)), tracks, grid=FIELD, rois={1: roi}, pixel_nm=100, z=30)
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    circles = [p for p in ax.patches if type(p).__name__ == "Circle"]
    assert circles[0].center == (pytest.approx(2.005), pytest.approx(1.005))
    assert circles[0].radius == pytest.approx(0.5)
    assert [matplotlib.colors.to_hex(c.get_edgecolor()).upper() for c in circles] == [
        style.CELL,
        style.FLAGGED,
    ]
    assert {"1", "7"} <= {t.get_text() for t in ax.texts}
    (box,) = (p for p in ax.patches if type(p).__name__ == "Rectangle" and not p.get_fill())
    assert box.get_xy() == (pytest.approx(1.0), pytest.approx(0.5))
    assert (box.get_width(), box.get_height()) == (pytest.approx(2.0), pytest.approx(1.0))
    assert ax.images[0].get_extent() == pytest.approx([0, 6, 4, 0])


def test_the_number_of_a_cell_at_the_border_stays_inside():
    figure = plot_field(None, [track(1, y=0.0, x=599.0), track(2)], grid=FIELD)
    places = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    assert places["1"] == (pytest.approx(0.975 * 6), pytest.approx(0.025 * 4))
    assert places["2"] == (pytest.approx(2.005), pytest.approx(1.005))


def test_field_dashes_cells_that_are_not_in_the_slice():
    figure = plot_field(None, [track(1, zs=(10, 20)), track(2, zs=(80, 90))], grid=FIELD, z=15)
    styles = [p.get_linestyle() for p in figure.axes[0].patches if type(p).__name__ == "Circle"]
    assert styles[0] == "solid"
    assert styles[1] != "solid"


def test_field_without_anything_still_has_axes():
    figure = plot_field(None, [], grid=FIELD)
    assert figure.axes[0].get_xlim() == (0, pytest.approx(6.0))
    assert figure.axes[0].get_legend() is None


def test_tracks_state_the_stretch_of_z():
    flat = Grid(shape=(20, 1000, 1000), voxel_size_nm=(50, 10, 10))
    assert z_stretch(flat) == 3
    (ax,) = plot_tracks([track(1, zs=(1, 5))], flat).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    assert ax.get_zlabel() == "z (µm), stretched ×3"
    (ax,) = plot_tracks([track(1)], FIELD).axes
    assert ax.get_zlabel() == "z (µm)"


def test_tracks_of_one_detection_are_drawn():
    figure = plot_tracks([track(3, zs=(5,), flags=CellFlag.SHORT_TRACK)], FIELD)
    assert colours_near(figure, style.FLAGGED) > 5


def test_tracks_refuse_nothing():
    with pytest.raises(ParameterError, match="'tracks' must hold at least one track"):
        plot_tracks([], FIELD)


# --- slices and scores


def test_slices_have_units_events_and_z(result):
    figure = plot_slices(result.slices, grid=result.labels.grid)
    areas, sure = figure.axes[:2]
    assert areas.get_ylabel() == "area (µm²)"
    assert sure.get_ylabel() == "confidence (0 to 1)"
    assert sure.get_xlabel() == "slice (index in the crop)"
    assert areas.child_axes[0].get_xlabel() == "z (µm)"
    assert "seed slice" in [t.get_text() for t in sure.get_legend().get_texts()]
    assert areas.lines[0].get_ydata() == pytest.approx([r.cell_um2 for r in result.slices])


def test_slices_show_the_confidence_of_the_envelope_where_it_was_measured(result):
    assert len(plot_slices(result.slices).axes[1].lines) == 1
    measured = [dataclasses.replace(r, envelope_confidence=0.1 * r.z) for r in result.slices]
    sure = plot_slices(measured).axes[1]
    assert sure.lines[1].get_ydata() == pytest.approx([0.1 * r.z for r in result.slices])
    names = [t.get_text() for t in sure.get_legend().get_texts()]
    assert names[:2] == ["nucleus", "envelope"]


def test_slices_of_one_record(result):
    figure = plot_slices(result.slices[4:5])
    assert colours_near(figure, style.PLAIN) > 5


def test_slices_refuse_nothing():
    with pytest.raises(ParameterError, match="'records' must hold at least one slice record"):
        plot_slices([])


def test_scores_show_undefined_as_a_cross_and_not_as_zero():
    nothing = score("average_hausdorff_distance_surface", float("nan"), unit="nm", undefined="why")
    good = score("average_hausdorff_distance_surface", 20.0, unit="nm")
    tables = {"a": ScoreTable(rows=(score(), nothing)), "b": ScoreTable(rows=(score(), good))}
    figure = plot_scores(tables)
    ratios, distances = figure.axes
    assert ratios.get_xlabel() == "score (ratio, 1 is perfect)"
    assert distances.get_xlabel() == "distance (nm, 0 is perfect)"
    assert [t.get_text() for t in distances.get_yticklabels()] == [
        "average Hausdorff distance surface, cell"
    ]
    drawn = {line.get_marker(): line.get_xdata() for line in distances.lines}
    assert list(drawn["o"]) == [20.0]
    assert drawn["x"][0] > 1
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"a", "b"}


def test_scores_mark_the_median():
    tables = {
        n: ScoreTable(rows=(score(value=v),)) for n, v in zip("abc", (0.7, 0.8, 0.95), strict=True)
    }
    (ax,) = plot_scores(tables).axes
    (bar,) = (line for line in ax.lines if line.get_marker() in ("", "None"))
    assert list(bar.get_xdata()) == [0.8, 0.8]


def test_scores_leave_out_slices_and_counts_and_take_a_choice():
    rows = (score(), score("dice_coefficient"), score("n_missing_slices", 3, unit="slices"))
    rows += (score("jaccard_index", 0.5, z=3),)
    table = ScoreTable(rows=rows)
    names = [t.get_text() for t in plot_scores(table).axes[0].get_yticklabels()]
    assert names == ["Jaccard index, cell", "Dice coefficient, cell"]
    names = plot_scores(table, metrics=["dice_coefficient"]).axes[0].get_yticklabels()
    assert [t.get_text() for t in names] == ["Dice coefficient, cell"]
    with pytest.raises(ParameterError, match="'scores' must hold at least one score"):
        plot_scores(table, metrics=["recall"])


# --- encoding


def test_charts_are_the_same_bytes_each_time(result):
    one, two = (style.chart_uri(plot_slices(result.slices)) for _ in range(2))
    assert one == two
    assert one.startswith("data:image/svg+xml;base64,")


def test_pictures_are_webp(result, image):
    uri = style.picture_uri(plot_overlay(image.slice(4), None, image.grid, size_px=200))
    assert uri.startswith("data:image/webp;base64,UklGR")


@pytest.mark.parametrize(
    ("limit", "length"), [(1.0, 1.0), (4.9, 2.0), (0.3, 0.2), (0.051, 0.05), (99.0, 50.0)]
)
def test_scale_bars_have_round_lengths(limit, length):
    assert style.nice_length(limit) == pytest.approx(length)


def test_colours_differ_in_lightness_for_any_colour_vision():
    def lightness(colour):
        return float(np.dot(matplotlib.colors.to_rgb(colour), (0.2126, 0.7152, 0.0722)))

    values = sorted(lightness(c) for c in (style.CELL, style.NUCLEUS, style.ENVELOPE))
    assert min(np.diff(values)) > 0.1


@pytest.mark.parametrize("shape", [(40, 3, 3), (3, 3, 4000), (1, 4000, 2)])
def test_the_canvas_is_bounded_whatever_the_shape_of_the_crop(shape):
    grid = Grid(shape=shape, voxel_size_nm=(50, 10, 10))
    labels = LabelVolume(data=np.ones(shape, np.uint8), grid=grid)
    figure = plot_orthogonal(None, labels, size_px=700)
    wide, high = figure.get_size_inches() * style.DPI
    assert wide * high <= style.MAX_CANVAS_PX
    assert style.new_figure(1e5, 1e5).get_size_inches().max() * style.DPI <= style.MAX_SIDE_PX


def test_names_are_shown_as_they_are():
    assert style.label_text("a$b_c") == r"a\$b_c"
    assert style.label_text("\u65e5\n") == "U+65E5"


def test_a_picture_that_fails_is_named_with_its_reason():
    def fail():
        raise MemoryError

    with pytest.warns(FailedPictureWarning, match="'shape' cannot be drawn .out of memory"):
        assert drawn("shape", fail).problem == "out of memory"
