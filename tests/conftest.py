"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Tests share the cores, and torch waits for its threads in busy loops."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same way in every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real slices with ground truth; the test is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HELASEG_REAL_DATA", beside))
    if not (folder / "roi_6005_4739").is_dir():
        pytest.skip("no real slices here: set HELASEG_REAL_DATA to the folder that holds them")
    return folder
