"""``helaseg phantom --case``: named cases on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helaseg.cli.app import main
from helaseg.io import open_volume
from helaseg.synthetic import CASES, make_case


def test_a_case_is_written_once(tmp_path, capsys):
    out = tmp_path / "case"
    words = ["phantom", str(out), "--case", "two_cells", "--seed", "3"]
    assert main(words) == 0
    made = make_case("two_cells", seed=3)
    np.testing.assert_array_equal(open_volume(out / "image").read(), made.image.read())
    nucleus = open_volume(out / "truth" / "nucleus").read()
    np.testing.assert_array_equal(nucleus, made.truth["nucleus"].read())
    record = json.loads((out / "phantom.json").read_text())
    assert record["config"] == {"case": "two_cells", "seed": 3}
    before = (out / "phantom.json").stat().st_mtime_ns
    assert main(words) == 0
    assert (out / "phantom.json").stat().st_mtime_ns == before
    assert main([*words[:-1], "4"]) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--case", "tilted"], "'case' must be one of 'plain'"),
        (["--case", "plain", "--packing", "1"], "got a value for 'packing' too; leave it out"),
    ],
)
def test_wrong_use_is_one_line(words, message, tmp_path, capsys):
    assert main(["phantom", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_help_names_all_cases(capsys):
    assert main(["phantom", "--help"]) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert all(name in shown for name in CASES)
