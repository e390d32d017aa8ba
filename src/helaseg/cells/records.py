"""One row per slice: areas, confidence, envelope, and what the propagation did."""

from __future__ import annotations

import numpy as np

from helaseg.cells.envelope.measure import EnvelopeResult
from helaseg.cells.nucleus.segment import NucleusResult
from helaseg.core.results import SliceRecord
from helaseg.core.volume import LabelVolume


def slice_records(
    nucleus: NucleusResult,
    envelope: EnvelopeResult,
    *,
    nucleus_image: LabelVolume,
    cell_image: LabelVolume,
) -> tuple[SliceRecord, ...]:
    """The record of every slice; areas are counted in the images as they are written.

    Parameters
    ----------
    nucleus : NucleusResult
        Confidence and events.
    envelope : EnvelopeResult
        Thickness and confidence of the envelope.
    nucleus_image, cell_image : LabelVolume
        At the pixels of the crop, not 0 inside.
    """
    area_um2 = nucleus.crop_grid.face_areas_nm2[0] / 1e6
    records = []
    for z in range(nucleus.grid.shape[0]):
        nucleus_px, cell_px = (
            int(np.count_nonzero(image.slice(z))) for image in (nucleus_image, cell_image)
        )
        records.append(
            SliceRecord(
                z=z,
                nucleus_px=nucleus_px,
                cell_px=cell_px,
                nucleus_um2=round(nucleus_px * area_um2, 6),
                cell_um2=round(cell_px * area_um2, 6),
                confidence=round(nucleus.confidence[z], 4),
                event=nucleus.events[z],
                envelope_thickness_nm=round(envelope.thickness_nm(z), 2),
                envelope_confidence=round(envelope.confidence(z), 4),
            )
        )
    return tuple(records)
