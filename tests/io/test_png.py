"""PNG slices: read without loss, refused where they are torn or not grey."""

from __future__ import annotations

import os
import pickle

import cv2
import numpy as np
import pytest

from helaseg.errors import DataFormatError, MissingSlicesError
from helaseg.io import open_volume

SIZE_NM = (50, 10, 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_slices_come_back_as_they_were(tmp_path, rng, dtype):
    grey = rng.integers(0, np.iinfo(dtype).max, (3, 9, 7), dtype=dtype)
    for z, plane in enumerate(grey):
        cv2.imwrite(str(tmp_path / f"z{z + 8}.png"), plane)
    volume = open_volume(tmp_path, SIZE_NM)
    assert volume.slice_numbers == (8, 9, 10)
    assert volume.data.dtype == dtype
    assert np.array_equal(volume.data, grey)
    assert np.array_equal(pickle.loads(pickle.dumps(volume.data))[1, 2:5, ::2], grey[1, 2:5, ::2])
    assert np.array_equal(open_volume(tmp_path / "z9.png", SIZE_NM).data, grey[1:2])


def test_gaps_colours_and_other_sizes_are_refused(tmp_path, rng):
    grey = rng.integers(0, 255, (8, 8), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "z1.png"), grey)
    cv2.imwrite(str(tmp_path / "z3.png"), grey)
    with pytest.raises(MissingSlicesError, match="lacks 1 slice between 1 and 3"):
        open_volume(tmp_path, SIZE_NM)
    cv2.imwrite(str(tmp_path / "z2.png"), grey[:4])
    with pytest.raises(DataFormatError, match=r"z2\.png has 4 x 8 .*one size and type"):
        open_volume(tmp_path, SIZE_NM)
    cv2.imwrite(str(tmp_path / "z2.png"), np.dstack([grey] * 3))
    with pytest.raises(DataFormatError, match=r"z2\.png must be grey .* it has colours"):
        open_volume(tmp_path, SIZE_NM)


def test_every_cut_is_refused(tmp_path, rng):
    path = tmp_path / "z1.png"
    cv2.imwrite(str(path), rng.integers(0, 255, (8, 8), dtype=np.uint8))
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(DataFormatError, match=r"z1\.png is (cut short|not a PNG file)"):
            open_volume(path, SIZE_NM)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    for name in ("a.tif", "a.npy", "a.mrc", "a.png"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataFormatError, match="must be a regular file, it is a pipe"):
            open_volume(tmp_path / name, SIZE_NM)
    with pytest.raises(DataFormatError, match="it is a device"):
        open_volume("/dev/zero", SIZE_NM)
