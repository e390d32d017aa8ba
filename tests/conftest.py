"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


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
