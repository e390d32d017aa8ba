"""The public names of `helaseg.image`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helaseg import image


def test_every_public_name_is_a_function_with_a_docstring():
    assert image.__all__ == sorted(image.__all__)
    assert set(image.__all__) == set(image._PUBLIC)
    for name in image.__all__:
        function = getattr(image, name)
        assert callable(function)
        assert function.__name__ == name
        assert function.__doc__
    assert set(dir(image)) == set(image.__all__)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'sharpen'"):
        _ = image.sharpen


@pytest.mark.parametrize(
    "lines",
    [
        "import helaseg.image; assert 'numba' not in sys.modules",
        # Every module that a public function lives in may be loaded before it is asked for.
        "from helaseg import image; from importlib import import_module; "
        "[import_module(f'helaseg.image.{m}') for m in set(image._PUBLIC.values())]; "
        "assert all(callable(getattr(image, name)) for name in image.__all__)",
    ],
)
def test_a_fresh_interpreter(lines):
    subprocess.run([sys.executable, "-c", f"import sys; {lines}"], check=True)
