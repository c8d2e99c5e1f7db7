"""Traces and replays in the form that the page holds: small whole numbers, compressed, unpacked by the browser."""

import base64
import gzip
from typing import Any

import numpy as np
import polars as pl
from PIL import Image
from scipy.special import betaincinv

from robustsim.recording import Recording
from robustsim.report.replay import heading

FEW, POINTS_FEW, POINTS_MANY = 300, 120, 36  # up to FEW runs keep POINTS_FEW evaluations each, more runs POINTS_MANY
SIDE = 200  # pixels of a picture
RATE = 10_000  # a rate of 1, as a whole number


def pack(data: bytes) -> str:
    """Bytes as text: compressed, in base64; the same bytes are the same text."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def traces(runs: pl.DataFrame, table: pl.DataFrame) -> tuple[list[int], str]:
    """(number of evaluations of each run, all evaluations of the corrected arm packed column by column).

    Columns: step int32; rate watched, rate unwatched uint16 (in 1/10,000); then uint8 (in 1/255): 95% limits low and
    high watched, low and high unwatched, competence; and whether the overseer is present.
    """
    exact = runs["expected_misbehaviours"].is_not_null()  # rates are exact probabilities: only then is there a count
    order = pl.DataFrame({"run_id": runs["run_id"], "order": range(len(runs)), "exact": exact})
    kept = table.filter(pl.col("arm") == "corrected").join(order, on="run_id", how="inner").sort("order", "step")
    kept = kept.filter(pl.col("misbehaviour_watched").is_finite() & pl.col("misbehaviour_unwatched").is_finite())
    most = POINTS_FEW if len(runs) <= FEW else POINTS_MANY
    index, size = pl.int_range(pl.len()).over("order"), pl.len().over("order")
    # An even selection, always with the first and the last.
    kept = kept.filter(
        (size <= most) | ((index * (most - 1)) // (size - 1) != ((index - 1) * (most - 1)) // (size - 1))
    )
    counts = np.bincount(kept["order"].to_numpy(), minlength=len(runs)).tolist()
    columns = [kept["step"].to_numpy().astype("<i4")]
    rates = {name: kept[f"misbehaviour_{name}"].to_numpy() for name in ("watched", "unwatched")}
    columns += [np.rint(rate * RATE).astype("<u2") for rate in rates.values()]
    for name, rate in rates.items():
        both = limits(rate, kept[f"decisions_{name}"].to_numpy())
        columns += [_byte(np.where(kept["exact"].to_numpy(), rate, limit)) for limit in both]
    columns += [_byte(kept["competence"].fill_nan(0).to_numpy()), kept["overseen"].to_numpy().astype("u1")]
    return counts, pack(b"".join(column.tobytes() for column in columns))


def limits(rate: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided 95% limits (Clopper and Pearson 1934) of many rates at once; (0, 1) without trials."""
    hits = np.rint(rate * trials)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(hits == 0, 0.0, betaincinv(np.maximum(hits, 1), trials - hits + 1, 0.025))
        high = np.where(hits == trials, 1.0, betaincinv(hits + 1, np.maximum(trials - hits, 1), 0.975))
    return low, high


def _byte(share: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(share, 0, 1) * 255).astype("u1")


def replay(recording: Recording) -> dict[str, Any]:
    """A recording as JSON: a palette, and pictures as the changes of one to the next."""
    stride = -(-recording.pictures.shape[2] // SIDE)
    pictures = recording.pictures[:, ::stride, ::stride]
    count, height, width, _ = pictures.shape
    palette, indices = _palette(pictures)
    changes = np.concatenate([indices[:1], indices[1:] ^ indices[:-1]])
    return {
        "id": recording.run_id,
        "visible": recording.visible,
        "width": width,
        "height": height,
        "count": count,
        "palette": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.tolist()],
        "pictures": pack(changes.tobytes()),
        "legend": [["#{:02x}{:02x}{:02x}".format(*s.colour), s.shape, s.meaning] for s in recording.legend],
        "stages": [
            {
                "name": heading(stage, recording.corrected),
                "step": stage.step,
                "rates": [round(rate, 3) for rate in stage.rates],
                "shown": stage.shown.tolist(),
                "signal": stage.signal.astype(int).tolist(),
                "bad": stage.misbehaved.astype(int).tolist(),
                "reward": stage.reward.round(3).tolist(),
                "length": stage.length.tolist(),
            }
            for stage in recording.stages
        ],
    }


def _palette(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(uint8[K, 3] colours, uint8[P, height, width] which); more than 256 colours are reduced to the best-fitting."""
    flat = pictures.reshape(-1, 3)
    codes = (flat.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(1, dtype=np.uint32)
    colours, which = np.unique(codes, return_inverse=True)
    if len(colours) <= 256:
        palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1).astype(np.uint8)
        return palette, which.reshape(pictures.shape[:3]).astype(np.uint8)
    tall = Image.fromarray(np.ascontiguousarray(pictures.reshape(-1, pictures.shape[2], 3)))
    reduced = tall.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.asarray(reduced.getpalette(), np.uint8).reshape(-1, 3)
    return palette, np.asarray(reduced, np.uint8).reshape(pictures.shape[:3])
