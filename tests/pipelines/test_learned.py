"""The learned method on one ROI: what its axes find is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from helaseg.core.grid import Grid
from helaseg.core.volume import Volume
from helaseg.deep import Checkpoint, TrainConfig, UNet, UNetConfig, tri_axis
from helaseg.deep.unet_config import Head
from helaseg.errors import WeakAxisWarning
from helaseg.pipelines import learned

pytestmark = pytest.mark.usefixtures("one_torch_thread")

GRID = Grid(shape=(8, 40, 40), voxel_size_nm=(50, 50, 50))


def predict(
    monkeypatch: pytest.MonkeyPatch, n_found: list[list[int]], head: Head
) -> learned.LearnedResult:
    """A prediction in which each axis (a row) finds so many voxels of each class."""
    classes = ("background", "nucleus") if head == "classes" else ("nucleus",)
    network = UNetConfig(width=2, n_halvings=1, head=head, classes=classes)
    shape = (len(classes), *GRID.shape)

    def found(*_: object, **__: object) -> tri_axis.TriAxisResult:
        empty = np.zeros(shape, np.uint8)
        return tri_axis.TriAxisResult(probability=empty, agreement=empty, n_found=np.array(n_found))

    monkeypatch.setattr(tri_axis, "predict_tri_axis", found)
    volume = Volume(data=np.full(GRID.shape, 9, np.uint8), grid=GRID, name="roi")
    model = Checkpoint(network=UNet(network), config=TrainConfig(network=network))
    return learned.predict(volume, model, tri_axis="mean", device="cpu")


def test_an_axis_that_finds_little_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(WeakAxisWarning, match="finds 10 % along y and 0 % along x of the nucleus"):
        result = predict(monkeypatch, [[200], [20], [0]], "binary")
    assert result.axis_shares == (1.0, 0.1, 0.0)


def test_axes_that_find_as_much_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predict(monkeypatch, [[90], [100], [60]], "binary").axis_shares == (0.9, 1.0, 0.6)
        # where none finds anything there is nothing to compare
        assert predict(monkeypatch, [[0], [0], [0]], "binary").axis_shares == (0.0, 0.0, 0.0)
        # the background is no class to find
        shares = predict(monkeypatch, [[9, 50], [100, 50], [5, 40]], "classes").axis_shares
        assert shares == (1.0, 1.0, 0.8)
