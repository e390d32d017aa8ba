from __future__ import annotations

import math

import pytest

from helaseg.core.objects import CellFlag
from helaseg.core.results import StepCost
from helaseg.core.scores import Score, ScoreTable
from helaseg.report import tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5678, "1235"),
        (12.34567, "12.35"),
        (0.012345, "0.01235"),
        (123456.7, "123\u2009457"),
        (99999, "99\u2009999"),
        (1234, "1234"),
        ("1234", "1234"),
        ("0.5", "0.5000"),
        (0.0, "0"),
        (-1.5, "−1.500"),
        (1e-12, "1.000e-12"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        ("words", "words"),
    ],
)
def test_numbers_for_a_reader(value, text):
    assert tables.number_text(value) == text


def test_quantities_take_the_unit_from_the_name():
    assert tables.quantity("cell_volume_um3", 12.0) == tables.Quantity(
        name="cell volume", value="12.00", unit="µm³"
    )
    assert tables.quantity("n_cell_slices", 7).name == "number of cell slices"
    assert tables.quantity("nucleus_to_cell_ratio", 0.25).unit == ""


def test_key_quantities_are_volumes_then_areas_then_ratios():
    found = tables.key_quantities(
        {
            "nucleus_to_cell_ratio": 0.3,
            "cell_surface_um2": 5.0,
            "cell_volume_um3": 9.0,
            "nucleus_volume_um3": float("nan"),
            "centroid_z_nm": 1.0,
            "flags": "small",
        }
    )
    assert [q.name for q in found] == ["cell volume", "cell surface", "nucleus to cell ratio"]
    assert "flags" not in [q.name for q in tables.all_quantities({"flags": "small"})]


def test_settings_are_flattened():
    settings = {"nucleus": {"sigma_nm": 20.0, "edges": {"low": None}}, "seeds": [1, 2], "empty": {}}
    assert tables.flat_settings(settings) == [
        ("nucleus.sigma_nm", "20.0"),
        ("nucleus.edges.low", "–"),
        ("seeds", "1, 2"),
        ("empty", "{}"),
    ]


def test_steps_give_shares_of_the_time():
    steps = [StepCost(step="a", seconds=1.0, peak_memory_mb=10.0), {"step": "b", "seconds": 3}]
    rows = tables.step_rows(steps)
    assert [r["share"] for r in rows] == [0.25, 0.75]
    assert rows[1]["memory"] == "–"
    assert tables.total_seconds(steps) == 4.0
    assert tables.step_rows([{"seconds": "?"}])[0]["share"] == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2.00 s"), (91.84, "91.8 s"), (720, "12 min"), (11100, "3 h 05 min")],
)
def test_durations(seconds, text):
    assert tables.duration_text(seconds) == text


def score(value, *, metric="jaccard_index", pred="prediction", **more):
    return Score(metric=metric, value=value, pred=pred, label="cell", **more)


def test_undefined_scores_keep_their_reason_and_leave_the_mean():
    columns = tables.score_columns(
        None,
        {
            1: ScoreTable(rows=(score(0.5), score(0.1, z=3))),
            2: ScoreTable(rows=(score(float("nan"), undefined="both are empty"),)),
            3: ScoreTable(rows=(score(1.0),)),
        },
    )
    (row,) = tables.score_rows(columns)
    assert list(columns) == ["cell 1", "cell 2", "cell 3"]
    assert [c.value for c in row.cells] == ["0.5000", "undefined", "1.000"]
    assert row.cells[1].reason == "both are empty"
    assert (row.mean, row.median) == ("0.7500", "0.7500")
    assert tables.undefined_reasons(columns) == [
        "cell 2: Jaccard index of cell has no value, both are empty"
    ]


def test_columns_follow_the_predictions_of_one_table():
    table = ScoreTable(rows=(score(0.5, pred="u-net"), score(0.7, pred="classical")))
    assert list(tables.score_columns(table, None)) == ["u-net", "classical"]
    assert list(tables.score_columns(ScoreTable(rows=(score(0.5),)), None)) == ["whole volume"]


def test_missing_scores_are_dashes_and_counts_are_whole():
    columns = {
        "a": ScoreTable(rows=(score(2.0, metric="n_missing_slices", unit="slices"),)),
        "b": ScoreTable(rows=(score(float("nan"), undefined="empty"),)),
    }
    count, ratio = tables.score_rows(columns)
    assert count.metric == "number of missing slices"
    assert [c.value for c in count.cells] == ["2", "–"]
    assert ratio.mean == "–"


def test_flags_are_words():
    flags = CellFlag.SMALL | CellFlag.NO_NUCLEUS
    assert tables.flag_words(flags) == ["smaller than a cell should be", "no nucleus found"]
    assert tables.flag_words(CellFlag.NONE) == []


def test_measures_of_a_cut_cell_are_those_of_the_part_inside():
    measured = {
        "nucleus_volume_um3": 2.0,
        "cell_volume_um3": 9.0,
        "nucleus_to_cell_ratio": 0.22,
        "nucleus_is_cut": 0,
        "cell_is_cut": 1,
        "cell_sphericity": math.nan,
        "polarity_ratio": math.nan,
    }
    found = {q.name: q for q in tables.all_quantities(measured)}
    assert found["cell volume"].note == found["nucleus to cell ratio"].note == "part inside"
    assert not found["nucleus volume"].note
    for name in ("cell sphericity", "polarity ratio"):
        assert "cut by the border" in found[name].reason
    whole = tables.all_quantities(measured | {"cell_is_cut": 0})
    assert not any(q.note or q.reason for q in whole)
