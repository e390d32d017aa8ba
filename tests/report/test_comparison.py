"""The page of a comparison, its figures and its sentences."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from comparisons import GRID, SHIFTED, SHORT, TRUTH, image, labels
from report_cases import NAMES_ARE_HOSTILE
from test_html import read_page

from helaseg.core.comparison import Comparison, MethodCost, PairedDifference
from helaseg.core.volume import Volume
from helaseg.errors import GridMismatchError, ParameterError
from helaseg.pipelines.compare import compare
from helaseg.pipelines.compare_config import CompareConfig
from helaseg.report import comparison_figures, write_comparison_report
from helaseg.report.comparison_figures import (
    method_styles,
    plot_outlines,
    plot_slice_scores,
    plotted_metrics,
)
from helaseg.report.style import figure_pixels
from helaseg.report.verdict import best_method, difference_words, verdict

DOUBT = np.zeros(GRID.shape, bool)
DOUBT[:, :, 30:34] = True
COSTS = {
    "shifted": MethodCost(
        train_seconds=5400, predict_seconds=30.0, train_memory_mb=9000, train_energy_j=9e5
    ),
    "short": MethodCost(predict_seconds=90.0, predict_memory_mb=400, predict_energy_j=1e4),
}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    methods = {"short": labels(SHORT), "shifted": labels(SHIFTED)}
    config = CompareConfig(n_resamples=100)
    return compare(
        labels(TRUTH), methods, labels(DOUBT), part="nucleus", costs=COSTS, config=config
    )


# --- the sentences


def test_the_verdict_says_who_where_how_surely_and_at_what_cost(comparison) -> None:
    words = verdict(comparison)
    value = comparison.table("shifted").value("jaccard_index")
    other = comparison.table("short").value("jaccard_index")
    assert words[0] == (
        f"shifted is best by the Jaccard index: {value:.3f}, ahead of short ({other:.3f}) "
        "(nucleus, 24 slices without voxels in doubt)."
    )
    text = "\n".join(words)
    assert "Slice by slice shifted differs from short by +0." in text
    assert "which is not clear: it may be chance" in text  # few blocks, p above 0.05
    assert "In the centre (17 slices) shifted is also ahead: Jaccard index " in text
    assert "At the poles (4 slices) shifted is also ahead: Jaccard index " in text
    assert "0.000 of short" in text
    assert "short is better than shifted by " in text
    assert "short finds nothing in 6 slices with truth." in text
    assert "shifted: trained in 90 min, predicted in 30.0 s, peak memory 9000 MB, 900 kJ." in words
    assert "short: training time not known, predicted in 90.0 s, peak memory 400 MB, 10.0 kJ." in (
        words
    )
    assert best_method(comparison) == "shifted"
    assert not any("are the same by every score" in sentence for sentence in words)


def test_unknown_costs_are_said_once() -> None:
    words = verdict(compare(labels(TRUTH), {"a": labels(SHIFTED)}))
    assert words[0].startswith("a has a Jaccard index of 0.9")
    assert words[-1] == "What the methods cost is not known."


def test_equal_methods_are_called_equal() -> None:
    words = verdict(compare(labels(TRUTH), {"a": labels(SHIFTED), "b": labels(SHIFTED)}))
    assert words[0].startswith("a and b have the same Jaccard index, 0.9")
    assert "a and b have the same Jaccard index in every slice." in words
    assert "a and b are the same by every score of every slice." in words
    assert "All 11 scores of the volume are equal." in words
    assert any(w.startswith("At the poles (4 slices) a and b are equal") for w in words)


def test_what_holds_for_two_is_said_once() -> None:
    methods = {"a": labels(SHIFTED), "b": labels(SHORT), "c": labels(SHORT), "d": labels(SHORT)}
    words = verdict(compare(labels(TRUTH), methods))
    assert "b and c are the same by every score of every slice." in words
    assert "b and d are the same by every score of every slice." in words
    assert not any(w.startswith("c and d") for w in words)
    (pair,) = [w for w in words if w.startswith("Slice by slice")]
    assert pair.startswith("Slice by slice a differs from b by ")
    assert [w for w in words if "finds nothing" in w] == ["b finds nothing in 6 slices with truth."]


def test_few_slices_are_not_called_sure() -> None:
    methods = {"a": labels(SHIFTED), "b": labels(SHORT)}
    words = verdict(compare(labels(TRUTH), methods, slices=[12]))
    assert "(foreground, 1 slice)" in words[0]
    assert any("only 1 slice, at least 6 are needed to say how surely." in w for w in words)
    assert not any("poles" in w for w in words)
    assert not any("clear" in w for w in words)


def test_a_method_is_best_by_all() -> None:
    methods = {"a": labels(TRUTH), "b": labels(SHORT)}
    assert "a is best, or as good, by all 11 scores of the volume." in verdict(
        compare(labels(TRUTH), methods)
    )


def test_what_cannot_be_ranked_says_why() -> None:
    none = labels(TRUTH & False)
    words = verdict(compare(none, {"a": none, "b": none}))
    assert words[0] == (
        "No method has a Jaccard index (foreground, 24 slices): truth and prediction are empty."
    )
    some = verdict(compare(none, {"a": none, "b": labels(TRUTH)}))
    # to find nothing is right here, though it has no score and the wrong one has 0
    assert some[0] == "The truth is empty, so no Jaccard index ranks the methods."
    assert "b finds something in 21 slices without truth." in some


@pytest.mark.parametrize(
    ("low", "high", "p", "words"),
    [
        (0.1, 0.3, 0.0001, "by +0.200 on average, which is clear (Jaccard index; interval +0.100"),
        (-0.1, 0.3, 0.04, "which is not clear: it may be chance"),
    ],
)
def test_a_difference_in_words(low, high, p, words) -> None:
    found = PairedDifference(
        n_slices=40,
        n_left_out=0,
        n_higher=30,
        n_lower=10,
        mean_difference=0.2,
        low=low,
        high=high,
        p_value=p,
        is_clear=low > 0,
        metric="jaccard_index",
        first="a",
        second="b",
    )
    assert words in difference_words(found, "a", "b")
    assert "differs from a by −0.200" in difference_words(found, "b", "a")
    assert f"{'p < 0.001' if p < 0.001 else 'p = 0.040'})." in difference_words(found, "a", "b")
    none = dataclasses.replace(found, n_slices=0)
    assert difference_words(none, "a", "b") == "a and b have a Jaccard index together in no slice."


# --- the page


def test_the_page_holds_it_all(comparison, tmp_path) -> None:
    path = write_comparison_report(
        tmp_path / "report.html", comparison, image=image(), inputs={"truth": "t.tif"}
    )
    page = read_page(path)
    for sentence in verdict(comparison):
        assert sentence in page.text
    for words in (
        "nucleus of roi",
        "short, shifted against the truth; 24 x 40 x 50 voxels of 50 x 10 x 10 nm",
        "Voxels in doubt left out",
        "Voxels in doubt counted",
        "average Hausdorff distance truth to prediction",
        "boundary F within 100 nm",
        "17 in the centre, 4 at the poles",
        "short − shifted",
        "90 min",
        "not known",
        "Worst of shifted",
        "in doubt",
        "truth: a mask of 0 and 255",
        "n_resamples 100",
        "truth t.tif",
    ):
        assert words in page.text, words
    assert f"{comparison.table('short').value('recall'):.4f}" in page.text
    text = path.read_text(encoding="utf-8")
    assert 'class="n best"' in text
    assert len(page.loaded) == 1 + len(comparison.worst)


def test_one_method_and_slice_without_an_image(tmp_path) -> None:
    found = compare(labels(TRUTH), {NAMES_ARE_HOSTILE: labels(SHIFTED)}, slices=[12])
    path = write_comparison_report(tmp_path / "report.html", found)
    page = read_page(path)
    assert NAMES_ARE_HOSTILE not in path.read_text(encoding="utf-8")
    assert NAMES_ARE_HOSTILE in page.text
    assert "Pairs of methods" not in page.text
    assert "Slice by slice" not in page.text
    assert "Not distinguished: 1 slice with truth, too few to part off poles of 10 %." in page.text


def test_the_page_is_deterministic(comparison, tmp_path) -> None:
    pages = [
        write_comparison_report(tmp_path / name, comparison, image=image()).read_bytes()
        for name in ("a.html", "b.html")
    ]
    assert pages[0] == pages[1]


def test_an_image_elsewhere_is_refused(comparison, tmp_path) -> None:
    elsewhere = Volume(
        data=np.zeros(GRID.shape, np.uint8), grid=dataclasses.replace(GRID, offset_nm=(0, 0, 0))
    )
    with pytest.raises(GridMismatchError, match=r"'image' and 'truth' must share one grid"):
        write_comparison_report(tmp_path / "report.html", comparison, image=elsewhere)
    assert list(tmp_path.iterdir()) == []


# --- the figures


def test_curves_show_every_method_and_mark_what_is_missing(comparison) -> None:
    metrics = ["jaccard_index", "average_hausdorff_distance_surface"]
    figure = plot_slice_scores(comparison, metrics)
    for ax, metric in zip(figure.axes, metrics, strict=True):
        curves = [line for line in ax.lines if line.get_marker() != "x"]
        for curve, name in zip(curves, comparison.methods, strict=True):
            np.testing.assert_array_equal(curve.get_ydata(), comparison.per_slice(name, metric))
    crosses = [line for line in figure.axes[1].lines if line.get_marker() == "x"]
    # the short one finds nothing in six slices with truth; where there is none, nothing is marked
    assert [list(line.get_xdata()) for line in crosses] == [[2, 3, 4, 20, 21, 22], []]
    assert figure.axes[1].get_title(loc="left") == "average Hausdorff distance surface (nm)"
    with pytest.raises(ParameterError, match=r"'metrics' must name at least one metric"):
        plot_slice_scores(comparison, [])


def test_outlines_lie_where_the_masks_are(comparison) -> None:
    pixels = figure_pixels(plot_outlines(comparison, 12, image=image(), size_px=300))
    assert pixels.shape == (240, 300, 3)  # all of a slice that is smaller than 2 µm
    plain = figure_pixels(plot_outlines(comparison, 12, size_px=900)).reshape(-1, 3).astype(int)
    # lines that coincide do not hide each other
    methods = [colour for colour, _ in method_styles(comparison.methods).values()]
    for colour in (comparison_figures.TRUTH, *methods):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(plain - rgb).sum(axis=1).min() < 60, colour
    empty = figure_pixels(plot_outlines(comparison, 0, size_px=200))
    assert empty.shape == (160, 200, 3)


def test_more_methods_than_colours_have_dashes() -> None:
    styles = method_styles([f"m{i}" for i in range(14)])
    assert len(set(styles.values())) == 14
    assert styles["m0"] == (styles["m5"][0], "solid")
    assert styles["m5"][1] == "dashed"


def test_plotted_metrics_follow_the_order_of_the_scores(comparison) -> None:
    wanted = {"jaccard_index": 1, "boundary_f_": 1, "mean_surface_distance": 1}
    assert plotted_metrics(comparison, wanted) == ["jaccard_index", "boundary_f_50nm"]
    assert plotted_metrics(comparison, {"boundary_f_": 2}) == [
        "boundary_f_50nm",
        "boundary_f_100nm",
    ]


def test_missing_values_per_slice_are_nan(comparison) -> None:
    values = comparison.per_slice("short", "hausdorff_distance_95")
    assert math.isnan(values[2])
    assert not math.isnan(values[12])
