"""Settings of a phantom."""

from __future__ import annotations

from dataclasses import dataclass

from helaseg._validate import as_int_zyx, as_zyx, check_positive, check_range
from helaseg.core.grid import Grid
from helaseg.errors import ParameterError
from helaseg.synthetic.textures import RESIN_GREY, TextureConfig, check_count


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomConfig:
    """Settings of a phantom; sizes of structures are physical, whatever the voxel size.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x.
    voxel_size_nm : tuple of float
        Voxel size z, y, x; the default is that of EMPIAR-10094. [1]_
    n_cells : int
        Number of cells, those cut by the border included.
    packing : float
        0: cells lie isolated in resin; towards 1 they touch their neighbours. At 1
        they are gathered to a clump: they meet membrane to membrane and resin is
        around the clump alone; its inner cells touch three others or more.
    seed : int
        Equal settings give equal voxels.
    cell_radius_nm : float, optional
        Mean in-plane radius of a cell; by default as large as `n_cells` allow,
        at most 7000 nm, about that of a real HeLa cell. [2]_
    n_border_cells : int, optional
        Cells that a side face (y or x) cuts; by default a quarter of all, and
        none at packing 1.
    n_flat_cells : int
        Cells of half the height of the others.
    nucleus_fraction : float
        Radius of the nucleus over that of its cell without blebs; 0.75 gives
        about the ratio of volumes 0.3 that real cells have (25 cells of
        EMPIAR-10094: 0.25 to 0.45). [2]_
    envelope_nm : float
        Thickness of the nuclear envelope in the truth. [2]_
    mitochondria_per_um3 : float
        Mitochondria per volume of cytoplasm: 319-899 in a real cell. [2]_
    protrusions : float
        Factor on the number of blebs and filopodia; 0 gives smooth cells.
    debris : float
        Factor on the number of fragments and ghost vesicles in the resin;
        they are background in the truth.
    jitter_px : float
        Largest shift of a slice against the ideal stack along y and x; image
        and truth shift together.
    contrast : float
        Factor on all differences from the mean grey value 165.
    noise : float
        Factor on the electron noise (1: standard deviation 4.3 in resin, 5.5 in
        cells, correlated over one pixel, as measured on the real slices). [1]_
    resin_grey : float
        Grey value of resin beside a cell. The default is that of the real slices,
        brighter than cells (147); below about 120 resin is darker than they are. [1]_
    damaged_slices : int
        Slices with a charging fault: low contrast, dark, streaked.

    References
    ----------
    .. [1] EMPIAR-10094, https://doi.org/10.6019/EMPIAR-10094
    .. [2] Karabağ et al., "Semantic segmentation of HeLa cells: an objective
       comparison between one traditional algorithm and four deep-learning
       architectures", PLoS ONE 15 (2020), https://doi.org/10.1371/journal.pone.0230605
       and J. Imaging 7 (2021) 93, https://doi.org/10.3390/jimaging7060093
    """

    shape: tuple[int, int, int] = (64, 1536, 1536)
    voxel_size_nm: tuple[float, float, float] = (50.0, 10.0, 10.0)
    n_cells: int = 8
    packing: float = 0.5
    seed: int = 0
    cell_radius_nm: float | None = None
    n_border_cells: int | None = None
    n_flat_cells: int = 1
    nucleus_fraction: float = 0.75
    envelope_nm: float = 70.0
    mitochondria_per_um3: float = 0.9
    protrusions: float = 1.0
    debris: float = 1.0
    jitter_px: float = 0.7
    contrast: float = 1.0
    noise: float = 1.0
    resin_grey: float = RESIN_GREY
    damaged_slices: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", as_int_zyx("shape", self.shape))
        size = as_zyx("voxel_size_nm", self.voxel_size_nm, positive=True)
        object.__setattr__(self, "voxel_size_nm", size)
        if min(self.shape) < 1:
            msg = f"'shape' must be at least 1 along z, y and x, got {self.shape}"
            raise ParameterError(msg)
        for name in ("n_cells", "seed", "n_flat_cells", "damaged_slices"):
            check_count(name, getattr(self, name))
        if self.n_border_cells is not None:
            check_count("n_border_cells", self.n_border_cells)
            check_range("n_border_cells", self.n_border_cells, 0, self.n_cells)
        if self.cell_radius_nm is not None:
            check_positive("cell_radius_nm", self.cell_radius_nm)
        check_range("n_cells", self.n_cells, 0, 65535)
        check_range("seed", self.seed, 0, 2**53)
        check_range("damaged_slices", self.damaged_slices, 0, self.shape[0])
        check_range("packing", self.packing, 0.0, 1.0)
        check_range("nucleus_fraction", self.nucleus_fraction, 0.2, 0.85)
        check_positive("envelope_nm", self.envelope_nm)
        check_range("resin_grey", self.resin_grey, 0.0, 255.0)
        positive_or_zero = (
            "mitochondria_per_um3",
            "protrusions",
            "debris",
            "jitter_px",
            "contrast",
            "noise",
        )
        for name in positive_or_zero:
            check_positive(name, getattr(self, name), zero=True)

    @property
    def grid(self) -> Grid:
        """Shape and voxel size of the volume."""
        return Grid(shape=self.shape, voxel_size_nm=self.voxel_size_nm)

    def textures(self, damaged: tuple[int, ...]) -> TextureConfig:
        """The part that concerns grey values, with the slices that are damaged."""
        return TextureConfig(
            seed=self.seed,
            envelope_nm=self.envelope_nm,
            mitochondria_per_um3=self.mitochondria_per_um3,
            debris=self.debris,
            contrast=self.contrast,
            noise=self.noise,
            resin_grey=self.resin_grey,
            damaged_slices=damaged,
        )

    @property
    def extent_nm(self) -> tuple[float, float, float]:
        """Size of the volume along z, y, x."""
        z, y, x = (n * s for n, s in zip(self.shape, self.voxel_size_nm, strict=True))
        return (z, y, x)

    @property
    def gap_nm(self) -> float:
        """Mean resin that near cells keep between them: 800 nm at packing 0, none at 1."""
        return 800.0 * (1.0 - self.packing) ** 2
