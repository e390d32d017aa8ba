"""The tables of a comparison hold its numbers, and say why some are not there."""

from __future__ import annotations

import csv
import json
import math

import pytest
from comparisons import SHIFTED, SHORT, TRUTH, labels

from helaseg.core.comparison import Comparison, MethodCost
from helaseg.io import write_comparison
from helaseg.pipelines.compare import compare
from helaseg.pipelines.compare_config import CompareConfig


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    config = CompareConfig(metrics=("jaccard_index", "hausdorff_distance_95"), n_resamples=50)
    methods = {"a": labels(SHIFTED), "b": labels(SHORT)}
    cost = {"b": MethodCost(predict_seconds=2.5)}
    doubt = labels(TRUTH & SHORT & False)
    return compare(labels(TRUTH), methods, doubt, config=config, costs=cost)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_have_a_row_each(comparison, tmp_path) -> None:
    files = write_comparison(tmp_path, comparison)
    assert [f.name for f in files] == ["scores.csv", "statistics.csv", "compare.json"]
    found = rows(files[0])
    assert len(found) == sum(len(s.table) for s in comparison.scores)
    assert {r["region"] for r in found} == {"volume", "slice", "centre", "poles"}
    assert {r["doubt"] for r in found} == {"counted", "left out"}
    for r in found:
        assert (r["value"] == "") == (r["undefined"] != "")
        assert (r["z"] != "") == (r["region"] == "slice")
    (one,) = [
        r
        for r in found
        if (r["method"], r["doubt"], r["region"], r["metric"])
        == ("b", "counted", "poles", "jaccard_index")
    ]
    assert float(one["value"]) == 0.0
    assert one["label"] == "foreground"


def test_statistics_have_a_row_per_pair_and_metric(comparison, tmp_path) -> None:
    found = rows(write_comparison(tmp_path, comparison)[1])
    assert len(found) == len(comparison.differences) == 4
    for row, difference in zip(found, comparison.differences, strict=True):
        assert (row["first"], row["second"]) == ("a", "b")
        assert float(row["mean_difference"]) == difference.mean_difference
        assert row["p_value"] == ("" if math.isnan(difference.p_value) else str(difference.p_value))


def test_the_summary_says_what_it_rests_on(comparison, tmp_path) -> None:
    sentences, inputs = ["a is best."], {"truth": "t.tif"}
    file = write_comparison(tmp_path, comparison, verdict=sentences, inputs=inputs)[2]
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["verdict"], found["inputs"]) == (sentences, inputs)
    assert found["costs"]["a"]["predict_seconds"] is None
    assert found["costs"]["b"]["predict_seconds"] == 2.5
    assert found["scores"]["a"]["left out"]["volume"]["jaccard_index"] == comparison.table(
        "a"
    ).value("jaccard_index")
    assert found["scores"]["b"]["counted"]["poles"]["hausdorff_distance_95"] is None
    assert found["config"]["n_resamples"] == 50
    assert found["pole_slices"] == list(comparison.split.poles)
    assert "helaseg" in found["versions"]
