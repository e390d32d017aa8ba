"""The loss is what its definition says, and unknown voxels change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helaseg.deep.losses import loss_of, weighted_counts

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SHAPE = (2, 3, 2, 5, 6)


def drawn(head: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(SHAPE, generator=generator)
    target = torch.rand(SHAPE, generator=generator)
    if head == "classes":
        target = target / target.sum(dim=1, keepdim=True)
    weight = torch.rand((2, 1, 2, 5, 6), generator=generator)
    weight[weight < 0.3] = 0
    return logits, target, weight


def by_hand(logits: np.ndarray, target: np.ndarray, weight: np.ndarray, head: str) -> float:
    if head == "distance":
        error = np.abs((np.tanh(logits) + 1) / 2 - target).mean(axis=1, keepdims=True)
        return float((error * weight).sum() / weight.sum())
    if head == "classes":
        found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        entropy = -(target * np.log(found)).sum(axis=1, keepdims=True)
        found, target = found[:, 1:], target[:, 1:]
    else:
        found = 1 / (1 + np.exp(-logits))
        entropy = -(target * np.log(found) + (1 - target) * np.log(1 - found))
        entropy = entropy.mean(axis=1, keepdims=True)
    dice = [
        1
        - (2 * (weight[:, 0] * found[:, c] * target[:, c]).sum() + 1)
        / ((weight[:, 0] * (found[:, c] + target[:, c])).sum() + 1)
        for c in range(found.shape[1])
    ]
    return float((entropy * weight).sum() / weight.sum() + np.mean(dice))


@pytest.mark.parametrize("head", ["binary", "classes", "distance"])
def test_against_numpy(head: str) -> None:
    tensors = drawn(head)
    expected = by_hand(*(t.double().numpy() for t in tensors), head)
    assert float(loss_of(*tensors, head=head)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("head", ["binary", "classes", "distance"])
def test_voxels_without_weight_have_no_say(head: str) -> None:
    logits, target, weight = drawn(head)
    logits.requires_grad_(True)
    loss = loss_of(logits, target, weight, head=head)
    loss.backward()
    assert logits.grad is not None
    unknown = (weight == 0).expand(SHAPE)
    assert not logits.grad[unknown].any()
    changed = target.clone()
    changed[unknown] = 1 - changed[unknown]
    again = loss_of(logits, changed, weight, head=head)
    assert again.item() == loss.item()


def test_nothing_known_is_no_loss() -> None:
    logits, target, weight = drawn("binary")
    assert float(loss_of(logits, target, torch.zeros_like(weight), head="binary")) == 0


def test_counts_are_of_known_voxels() -> None:
    found = torch.tensor([0.9, 0.8, 0.1, 0.2, 0.9]).reshape(1, 1, 1, 1, 5)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 1, 5)
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 1, 1, 5)
    assert weighted_counts(found, target, weight).tolist() == [[1, 1, 1]]
