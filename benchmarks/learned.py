"""The network beside the unsupervised method: what it learns, what three axes add, how fast it is.

    python -m benchmarks.learned phantom     # trained on one phantom, tested on another
    python -m benchmarks.learned phantom 2 3 7   # seeds of both phantoms, and of training
    python -m benchmarks.learned real        # needs HELASEG_REAL_DATA or ../shared/data
    python -m benchmarks.learned real 7      # seed of training
    python -m benchmarks.learned speed       # beside MONAI's sliding_window_inference, one run
    python -m benchmarks.learned device      # on a GPU: share of the network's own throughput, TAP

Each part prints what it measured; nothing is asserted here (the tests do that).
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality import jaccard

HERE = Path(__file__).resolve()
CLASSES = ("background", "cytoplasm", "nucleus", "nuclear envelope")
#: First slices of the runs of real slices, see the README of the data.
RUNS = {1: (1, 2, 4), 26: range(26, 36, 2), 56: range(56, 66, 2)}
RUNS |= {110: range(110, 122, 2), 146: range(146, 156, 2)}


def machine(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def phantom(learn: str = "1", test: str = "0", seed: str = "0") -> None:
    """Cells of one phantom are learned; nucleus and envelope of another are looked for."""
    import helaseg
    from helaseg.core.volume import LabelVolume
    from helaseg.deep import TrainConfig, UNetConfig, make_example, read_checkpoint, train
    from helaseg.deep.labels import parts_of
    from helaseg.pipelines import learned

    network = UNetConfig(head="classes", classes=CLASSES)
    made = {k: helaseg.make_phantom(seed=int(k)) for k in (learn, test)}
    for axes in ("z", "zyx"):
        config = TrainConfig(network=network, axes=axes, seed=int(seed))
        examples = []
        for name, one in made.items():
            labels = np.where(one.truth["cell"].read() > 0, 1, 0).astype(np.uint8)
            labels[one.truth["nucleus"].read() > 0] = 2
            labels[one.truth["envelope"].read() > 0] = 3
            parts, known, _ = parts_of(labels, CLASSES[1:], name="truth")
            examples.append(
                make_example(one.image, parts, config=config, name=name, cell=name, known=known)
            )
        with tempfile.TemporaryDirectory() as folder:
            result = train(examples[:1], Path(folder), config=config, device="cpu")
            model = read_checkpoint(folder)
        print(f"trained on planes along {axes}: {result.seconds:.0f} s ({machine('cpu')})")
        truth = made[test].truth
        for fusion in (None, "union", "majority", "mean", "intersection"):
            start = time.perf_counter()
            found = learned.predict(
                made[test].image, model, tri_axis=fusion, keep="all", device="cpu"
            )
            seconds = time.perf_counter() - start
            print(
                f"  {fusion or 'z alone':<13}{_scores(found.segmentation, truth)}, {seconds:.0f} s"
            )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        helaseg.run(made[test].image, Path(folder) / "run", executor="threads:2")
        names = Path(folder) / "run" / "cells.ome.zarr" / "image" / "labels" / "nucleus"
        volume = helaseg.open_volume(names)
        nucleus = LabelVolume(data=volume.read(), grid=volume.grid)
    index = jaccard(nucleus.data > 0, truth["nucleus"].read() > 0)
    print(
        f"unsupervised, whole run: nucleus Jaccard {index:.4f}, {time.perf_counter() - start:.0f} s"
    )


def _scores(found, truth) -> str:
    """Nucleus, envelope, and recall of the envelope in the tenth of the slices at either pole."""
    labels, nucleus = found.labels.read(), found.nucleus.read() > 0
    band, bands = labels == 3, truth["envelope"].read()
    both = np.count_nonzero(band & (bands > 0))
    recall, precision = both / np.count_nonzero(bands), both / max(1, np.count_nonzero(band))
    hit = total = 0
    for k in np.unique(bands)[1:]:
        one = bands == k
        there = np.flatnonzero(one.any(axis=(1, 2)))
        n = max(1, round(0.1 * len(there)))
        poles = [*there[:n], *there[-n:]]
        hit += np.count_nonzero(band[poles] & one[poles])
        total += np.count_nonzero(one[poles])
    f_measure = 2 * recall * precision / max(recall + precision, 1e-9)
    return (
        f"nucleus Jaccard {jaccard(nucleus, truth['nucleus'].read() > 0):.4f}, envelope F "
        f"{f_measure:.4f} (recall {recall:.4f}, precision {precision:.4f}), recall in the poles "
        f"{hit / total:.4f}"
    )


def real(seed: str = "0") -> None:
    """Trained without the run of the slice that is tested, and without z0026 to z0034."""
    import tifffile

    import helaseg
    from helaseg.core.grid import Grid
    from helaseg.core.volume import Volume
    from helaseg.deep import TrainConfig, make_example, read_checkpoint, train
    from helaseg.deep.labels import LabelPart
    from helaseg.pipelines import learned

    folder = Path(os.environ.get("HELASEG_REAL_DATA", HERE.parents[2] / "shared" / "data"))
    folder = folder / "roi_6005_4739"
    images, results, drawn = {}, {}, {}
    for first, numbers in RUNS.items():
        grey = np.stack([tifffile.imread(folder / "raw" / f"z{n:04d}.tif") for n in numbers])
        grid = Grid(shape=grey.shape, voxel_size_nm=(100, 10, 10))
        images[first] = Volume(data=grey, grid=grid)
        start = time.perf_counter()
        results[first] = helaseg.segment(images[first])
        drawn[first] = results[first].nucleus.read() * np.uint8(255)
        seconds = time.perf_counter() - start
        print(f"unsupervised on z{first:04d}...: {seconds:.0f} s for {len(grey)} slices")
    truths = {
        n: f for n in range(200) if (f := folder / "truth" / f"nucleus_z{n:04d}.tif").exists()
    }
    config = TrainConfig(n_steps=600, seed=int(seed))

    def example(first: int):
        target = drawn[first].copy()
        for k, n in enumerate(RUNS[first]):
            if n in truths:
                target[k] = tifffile.imread(truths[n])
        # The nuclei of other cells are not drawn.
        known = LabelPart(results[first].labels.read(), (4,), inverse=True)
        name = f"z{first:04d}"
        return make_example(
            images[first],
            {"nucleus": LabelPart(target, ())},
            config=config,
            name=name,
            cell=name,
            known=known,
        )

    for held in (56, 110):
        learn = [example(first) for first in RUNS if first not in (held, 26)]
        with tempfile.TemporaryDirectory() as out:
            result = train(learn, Path(out), config=config, device="cpu")
            model = read_checkpoint(out)
        print(
            f"trained without z{held:04d}... and z0026...: {result.seconds:.0f} s "
            f"({machine('cpu')})"
        )
        for first in (held, 26):
            found = learned.predict(images[first], model, device="cpu").segmentation.nucleus.read()
            for k, n in enumerate(RUNS[first]):
                if n in truths:
                    true = tifffile.imread(truths[n]) > 0
                    ours, theirs = jaccard(found[k] > 0, true), jaccard(drawn[first][k] > 0, true)
                    print(f"  z{n:04d}, truth: network {ours:.4f}, unsupervised {theirs:.4f}")
                else:
                    index = jaccard(found[k] > 0, drawn[first][k] > 0)
                    print(f"  z{n:04d}, no truth: network against unsupervised {index:.4f}")


def speed(n_rounds: str = "5") -> None:
    """The same network, window and overlap on the CPU; both give the whole volume."""
    import torch
    from monai.inferers import sliding_window_inference

    from helaseg.deep import PredictConfig, Predictor, UNet, UNetConfig
    from helaseg.deep.grey import GreyScale

    torch.manual_seed(0)
    network = UNet(UNetConfig()).eval()
    rng = np.random.default_rng(0)
    scale = GreyScale(mean=120.0, std=50.0)
    print(machine("cpu"))
    for side in (400, 1000):
        source = rng.integers(1, 255, (16 if side == 400 else 4, side, side)).astype(np.uint8)
        for window, overlap in ((256, 64), (192, 48)):
            config = PredictConfig(patch_px=window, overlap_px=overlap, precision="float32")
            ways = {"helaseg": config, "helaseg, bfloat16": replace(config, precision="bfloat16")}
            times: dict[str, list[float]] = {}
            for _ in range(int(n_rounds)):
                for name, one in ways.items():
                    predictor = Predictor(network, device="cpu", config=one)
                    start = time.perf_counter()
                    for _ in predictor.blocks(source, scale):
                        pass
                    times.setdefault(name, []).append(time.perf_counter() - start)
                start = time.perf_counter()
                with torch.inference_mode():
                    grey = (torch.from_numpy(source).float() - scale.mean) / scale.std
                    found = sliding_window_inference(
                        grey[:, None],
                        (window, window),
                        4,
                        lambda x: network(x)[:, :, 0],
                        overlap=overlap / window,
                        mode="gaussian",
                    )
                    (found.sigmoid() * 255).to(torch.uint8).numpy()
                times.setdefault("MONAI", []).append(time.perf_counter() - start)
            for name in ways:
                ratios = [m / h for m, h in zip(times["MONAI"], times[name], strict=True)]
                rate = source.size / statistics.median(times[name]) / 1e6
                print(
                    f"{source.shape}, window {window}, overlap {overlap}, {name}: "
                    f"{statistics.median(ratios):.2f} times as fast as MONAI (each "
                    f"{np.round(ratios, 2)}); {rate:.1f} million voxels per second"
                )


def device() -> None:
    """On a GPU: blocks beside the network alone on data that is there, and TAP of an ROI."""
    import torch

    from helaseg.deep import PredictConfig, Predictor, UNet, UNetConfig, predict_tri_axis
    from helaseg.deep.grey import GreyScale
    from helaseg.deep.inference import inference_copy

    if not torch.cuda.is_available():
        print("no GPU here")
        return
    torch.manual_seed(0)
    made = UNet(UNetConfig())
    predictor = Predictor(made, device="cuda", config=PredictConfig())
    source = np.random.default_rng(0).integers(1, 255, (300, 400, 400)).astype(np.uint8)
    scale = GreyScale(mean=120.0, std=50.0)

    def timed(call) -> float:
        call()
        found = []
        for _ in range(5):
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    def forward(n: int) -> None:
        with torch.inference_mode():
            for k in range(0, len(planes), n):
                network(planes[k : k + n])

    def blocks() -> None:
        for _ in predictor.blocks(resident, scale):
            pass

    resident = predictor.resident(source)
    network = inference_copy(made, device=predictor.device, precision=predictor.precision)
    planes = resident[:, None].to(predictor.precision)
    alone = min(timed(lambda n=n: forward(n)) for n in (6, 25, 75))
    ours = timed(blocks)
    three = timed(lambda: predict_tri_axis(predictor, source, scale=scale, fusion="union"))
    print(
        f"{machine('cuda')}: network alone {alone:.3f} s, blocks {ours:.3f} s: {alone / ours:.0%}"
    )
    print(f"three axes of {source.shape}, with reading and fusing: {three:.2f} s")


if __name__ == "__main__":
    parts = {"phantom": phantom, "real": real, "speed": speed, "device": device}
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    parts[sys.argv[1]](*sys.argv[2:])
