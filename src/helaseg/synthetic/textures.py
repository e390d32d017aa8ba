"""Settings of the grey values of a phantom, whatever its shapes come from."""

from __future__ import annotations

from dataclasses import dataclass

from helaseg._validate import check_positive, check_range
from helaseg.errors import ParameterError

#: Grey value of resin beside a cell in EMPIAR-10094 as 8 bit.
RESIN_GREY = 201.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TextureConfig:
    """Textures of a phantom; sizes of structures are physical, whatever the voxel size.

    Parameters
    ----------
    seed : int
        Equal settings give equal voxels.
    envelope_nm : float
        Thickness of the nuclear envelope in the truth. [1]_
    mitochondria_per_um3 : float
        Mitochondria per volume of cytoplasm: 319-899 in a real cell. [1]_
    debris : float
        Factor on the number of fragments and ghost vesicles in the resin.
    contrast : float
        Factor on all differences from the mean grey value 165.
    noise : float
        Factor on the electron noise, see `PhantomConfig`.
    resin_grey : float
        Grey value of resin beside a cell; the default is that of EMPIAR-10094,
        brighter than cells (147). Below about 120 it is darker than they are.
    damaged_slices : tuple of int
        Slices with a charging fault: low contrast, dark, streaked.
    blank_slices : tuple of int
        Slices that hold one grey value: lost in the microscope.

    References
    ----------
    .. [1] Karabağ et al., J. Imaging 7 (2021) 93,
       https://doi.org/10.3390/jimaging7060093
    """

    seed: int = 0
    envelope_nm: float = 70.0
    mitochondria_per_um3: float = 0.9
    debris: float = 1.0
    contrast: float = 1.0
    noise: float = 1.0
    resin_grey: float = RESIN_GREY
    damaged_slices: tuple[int, ...] = ()
    blank_slices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_count("seed", self.seed)
        check_range("seed", self.seed, 0, 2**53)
        check_positive("envelope_nm", self.envelope_nm)
        check_range("resin_grey", self.resin_grey, 0.0, 255.0)
        for name in ("mitochondria_per_um3", "debris", "contrast", "noise"):
            check_positive(name, getattr(self, name), zero=True)
        for name in ("damaged_slices", "blank_slices"):
            for z in getattr(self, name):
                check_count(name, z)


def check_count(name: str, value: int) -> None:
    """Refuse what is no whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"'{name}' must be a whole number from 0 on, got {value!r}"
        raise ParameterError(msg)
