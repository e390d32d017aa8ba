"""Losses: Dice and cross-entropy with soft targets and weights.

Shapes: logits and targets are (B, C, Z, Y, X), weights (B, 1, Z, Y, X).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from helaseg.deep.unet_config import Head


def loss_of(logits: Tensor, target: Tensor, weight: Tensor, *, head: Head) -> Tensor:
    """The loss of a batch.

    Parameters
    ----------
    logits : Tensor, shape (B, C, Z, Y, X)
        Output of the network.
    target : Tensor, same shape
        Between 0 and 1: parts of a voxel, shares of votes, or distances moved to 0 to 1.
    weight : Tensor, shape (B, 1, Z, Y, X)
        0 where nothing is known: such voxels change nothing.
    head : {"binary", "classes", "distance"}
        What the numbers mean.

    Returns
    -------
    Tensor
        A number; 0 if all weights are 0.

    Notes
    -----
    1. Cross-entropy: the mean over voxels with their weights, of each class (binary) or of
       the softmax (classes).
    2. Dice: 1 - (2 sum wtp + 1) / (sum wt + sum wp + 1) for each class over the whole
       batch, so that a patch without the class is no special case; the mean over the
       classes, without the background of a softmax. Sum of 1 and 2.
    3. A distance head has the mean absolute difference instead.
    """
    total = weight.sum().clamp_min(1e-6)
    if head == "distance":
        found = (logits.tanh() + 1) / 2
        return ((found - target).abs() * weight).sum() / (total * target.shape[1])
    if head == "classes":
        entropy = -(target * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)
        found, target = logits.softmax(dim=1)[:, 1:], target[:, 1:]
    else:
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        entropy = entropy.mean(dim=1, keepdim=True)
        found = logits.sigmoid()
    return (entropy * weight).sum() / total + dice_loss(found, target, weight)


def dice_loss(found: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient, the mean over the classes."""
    axes = (0, 2, 3, 4)
    both = (weight * found * target).sum(dim=axes)
    each = (weight * (found + target)).sum(dim=axes)
    return (1 - (2 * both + 1) / (each + 1)).mean()


def weighted_counts(found: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """True positives, false positives and false negatives per class, shape (C, 3)."""
    seen, true, known = found >= 0.5, target >= 0.5, weight > 0
    axes = (0, 2, 3, 4)
    parts = (seen & true & known, seen & ~true & known, ~seen & true & known)
    return torch.stack([p.sum(dim=axes) for p in parts], dim=1)
