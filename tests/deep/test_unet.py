"""The network has the shapes and the sizes that its settings say."""

from __future__ import annotations

import pytest
import torch

from helaseg.deep import PRESETS, UNet, UNetConfig
from helaseg.errors import ParameterError

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_the_preset_of_2020_has_the_published_number_of_parameters() -> None:
    assert UNet(PRESETS["unet-2020"]).n_parameters == 30_033_388


def test_the_compact_network_has_one_to_three_million_parameters() -> None:
    assert 1e6 < UNet(PRESETS["compact"]).n_parameters < 3e6


@pytest.mark.parametrize(
    ("config", "shape", "expected"),
    [
        (UNetConfig(width=4, n_halvings=2), (2, 1, 16, 24), (2, 1, 1, 16, 24)),
        (UNetConfig(width=4, n_halvings=2, slices_in=5), (1, 5, 16, 16), (1, 1, 1, 16, 16)),
        (
            UNetConfig(width=4, n_halvings=2, slices_in=4, slices_out=4, layout="towers"),
            (1, 4, 16, 16),
            (1, 1, 4, 16, 16),
        ),
        (UNetConfig(n_axes=3, width=4, n_halvings=2), (1, 8, 16, 16), (1, 1, 8, 16, 16)),
        (
            UNetConfig(width=4, n_halvings=2, head="classes", classes=("a", "b", "c")),
            (1, 1, 16, 16),
            (1, 3, 1, 16, 16),
        ),
        (UNetConfig(width=4, n_halvings=2, padding="valid"), (1, 1, 44, 60), (1, 1, 1, 4, 20)),
    ],
)
def test_logits_have_the_stated_shape(
    config: UNetConfig, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    network = UNet(config).eval()
    with torch.inference_mode():
        logits = network(torch.randn(shape))
        assert logits.shape == expected
        found = network.probabilities(logits)
    assert found.min() >= 0
    assert found.max() <= 1
    if config.head == "classes":
        torch.testing.assert_close(found.sum(dim=1), torch.ones_like(found[:, 0]))


@pytest.mark.parametrize("n", range(1, 130))
def test_the_length_of_the_output_is_told_before(n: int) -> None:
    config = UNetConfig(width=2, n_halvings=2, padding="valid")
    try:
        expected = config.output_length(n)
    except ParameterError:
        # What is refused does not pass, or passes with unequal sides.
        assert config.valid_length(n) > n
        return
    assert config.valid_length(n) == n
    with torch.inference_mode():
        assert UNet(config)(torch.zeros(1, 1, n, n)).shape[-1] == expected


def test_valid_convolutions_do_not_see_the_border() -> None:
    config = UNetConfig(width=2, n_halvings=1, padding="valid")
    network = UNet(config).eval()
    side = config.valid_length(40)
    large = torch.randn(1, 1, side + 8, side + 8)
    with torch.inference_mode():
        whole = network(large)
        part = network(large[..., 4:-4, 4:-4])
    torch.testing.assert_close(whole[..., 4:-4, 4:-4], part, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_axes": 4}, "'n_axes' must be one of 2, 3"),
        ({"classes": ()}, "'classes' must be 1 or more different names"),
        ({"classes": ("a", "a")}, "different names"),
        ({"head": "classes"}, "'classes' must be 2 or more"),
        ({"slices_in": 3, "slices_out": 2}, "differ from it by an even number"),
        ({"n_axes": 3, "slices_in": 3}, "'slices_in' must be 1 with three axes"),
        ({"layout": "towers", "padding": "valid"}, "needs n_axes=2 and padding='same'"),
    ],
)
def test_settings_that_make_no_network_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        UNetConfig(**values)


def test_patches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="multiples of 16 pixels, got 100"):
        UNetConfig().output_length(100)
    with pytest.raises(ParameterError, match="such as 44, got 40"):
        UNetConfig(n_halvings=2, padding="valid").output_length(40)
