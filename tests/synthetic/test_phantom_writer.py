"""Phantoms on disk: the voxels of the one in memory, all or nothing."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest
import tifffile

from helaseg.errors import JobError, OutputExistsError, ParameterError
from helaseg.io import open_volume
from helaseg.synthetic import PhantomConfig, make_phantom, write_phantom

TINY = PhantomConfig(shape=(5, 70, 90), voxel_size_nm=(100, 40, 40), n_cells=3, damaged_slices=1)


def read(folder):
    return np.stack([tifffile.imread(p) for p in sorted(folder.glob("*.tif"))])


def test_files_hold_the_voxels_of_the_phantom_in_memory(tmp_path):
    out = tmp_path / "deep" / "phantom"
    calls = []
    cells = write_phantom(out, TINY, progress=lambda done, n: calls.append((done, n)))
    want = make_phantom(TINY)
    np.testing.assert_array_equal(read(out / "image"), want.image.read())
    for name, labels in want.truth.items():
        on_disk = read(out / "truth" / name)
        assert on_disk.dtype == labels.data.dtype
        np.testing.assert_array_equal(on_disk, labels.read())
    assert cells == want.cells
    assert calls == [(k, 5) for k in range(1, 6)]
    names = [p.name for p in sorted((out / "image").iterdir())]
    assert names[0] == "image_z0001.tif"
    assert len(names) == 5


def test_the_record_holds_settings_cells_and_damage(tmp_path):
    write_phantom(tmp_path / "p", TINY, seed=3)
    record = json.loads((tmp_path / "p" / "phantom.json").read_text())
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()}
    again = make_phantom(PhantomConfig(**config))
    assert again.config.seed == 3
    assert list(again.damaged) == record["damaged_slices"]
    assert [c["id"] for c in record["cells"]] == [1, 2, 3]
    assert [c["n_voxels"] for c in record["cells"]] == [c.n_voxels for c in again.cells]


def test_cells_outside_the_volume_have_no_centre(tmp_path):
    write_phantom(
        tmp_path / "p", shape=(1, 4, 4), voxel_size_nm=(50, 10, 10), n_cells=6,
        cell_radius_nm=20.0, protrusions=0.0,
    )  # fmt: skip
    cells = json.loads((tmp_path / "p" / "phantom.json").read_text())["cells"]
    gone = [c for c in cells if c["n_voxels"] == 0]
    assert gone
    assert all(c["centroid_vx"] is None and c["first_slice"] == -1 for c in gone)


def test_the_folders_open_as_volumes_with_their_grid(tmp_path):
    write_phantom(tmp_path / "p", TINY)
    want = make_phantom(TINY)
    for part in ("image", "truth/cell", "truth/mitochondria"):
        volume = open_volume(tmp_path / "p" / part)
        assert volume.grid == TINY.grid
        known = want.image if part == "image" else want.truth[part.split("/")[1]]
        np.testing.assert_array_equal(volume.read(), known.read())


def test_a_slice_carries_its_pixel_size(tmp_path):
    write_phantom(tmp_path / "p", TINY)
    with tifffile.TiffFile(tmp_path / "p" / "image" / "image_z0001.tif") as file:
        tags = file.pages[0].tags
        numerator, denominator = tags["XResolution"].value
        assert numerator / denominator == pytest.approx(1e7 / 40, rel=1e-6)
        assert file.shaped_metadata[0]["spacing"] == 100.0


def test_a_folder_with_files_is_refused_and_an_empty_one_taken(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.txt").write_text("keep me")
    with pytest.raises(OutputExistsError, match="the output folder must be empty or new"):
        write_phantom(tmp_path / "mine", TINY)
    assert (tmp_path / "mine" / "data.txt").read_text() == "keep me"
    (tmp_path / "empty").mkdir()
    write_phantom(tmp_path / "empty", TINY)
    assert (tmp_path / "empty" / "phantom.json").exists()


def test_wrong_settings_leave_nothing(tmp_path):
    with pytest.raises(ParameterError, match="'packing' must lie between"):
        write_phantom(tmp_path / "p", TINY, packing=-1)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("helaseg.synthetic.writer.tifffile.imwrite", full)
    with pytest.raises(JobError, match=r"could not write .*p: No space left"):
        write_phantom(tmp_path / "p", TINY)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_job_leaves_nothing(tmp_path):
    def stop(done, n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "p", TINY, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="could not write"):
        write_phantom(tmp_path / "file" / "p", TINY)
