"""A recording as a small film: before, during and after the correction side by side, unwatched above watched."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from robustsim.errors import UserError
from robustsim.events import CONDITIONS
from robustsim.recording import Recording, Sign, Stage
from robustsim.report import place, words

FORMATS = (".gif", ".webp")
MOST_BYTES = 1_500_000
STEP, HOLD, LAST = 260, 900, 1600  # milliseconds of an environment step, of an episode's end, of the film's
LEFT, TOP, HEAD, FOOT, GAP = 116, 34, 40, 26, 14  # pixels around the panels
ROW = 18  # height of a row of the legend
PAPER, INK, QUIET, RED, LIT = "#ffffff", "#222222", "#5b6470", "#c8102e", "#b45309"
FRAME = 5  # thickness of the frame around a misbehaviour
SIDE = 260  # panels are about this wide


def film(recording: Recording) -> Iterator[tuple[Image.Image, int]]:
    """The frames, each with its duration in milliseconds. Episodes follow one another; all panels keep time."""
    width = recording.pictures.shape[2]
    scale, shrink = max(1, SIDE // width), max(1, round(width / SIDE))
    pictures = recording.pictures[:, ::shrink, ::shrink].repeat(scale, 1).repeat(scale, 2)
    episodes = recording.stages[0].length.shape[1]
    for episode in range(episodes):
        end = max(int(stage.length[:, episode].max()) for stage in recording.stages)
        for time in range(end + 1):
            last = time == end
            duration = STEP if not last else LAST if episode == episodes - 1 else HOLD
            yield _draw(recording, pictures, episode, time), duration


def _draw(recording: Recording, pictures: np.ndarray, episode: int, time: int) -> Image.Image:
    height, width = pictures.shape[1:3]
    columns = len(recording.stages)
    across = LEFT + columns * (width + GAP)
    signs = _placed(recording.legend, across - LEFT)
    size = (across, TOP + HEAD + 2 * (height + FOOT) + 30 + ROW * len(signs))
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    title = ", ".join(filter(None, [recording.scenario, words.point(recording.point), f"seed {recording.seed}"]))
    draw.text((12, 10), title, fill=INK, font=_font(17, bold=True))
    for column, stage in enumerate(recording.stages):
        x = LEFT + column * (width + GAP)
        draw.text((x, TOP + 4), heading(stage, recording.corrected), fill=INK, font=_font(14, bold=True))
        draw.text((x, TOP + 22), f"gradient step {stage.step:,}", fill=QUIET, font=_font(13))
        for row, condition in enumerate(CONDITIONS):
            y = TOP + HEAD + row * (height + FOOT)
            if column == 0:
                _row_label(draw, y, condition, recording.visible)
            _panel(image, pictures, (x, y), stage, row, episode, time)
    note = f"episode {episode + 1} of {recording.stages[0].length.shape[1]}, the same levels in every panel"
    foot = TOP + HEAD + 2 * (height + FOOT)
    draw.text((LEFT, foot + 6), note, fill=QUIET, font=_font(12))
    for row, placed in enumerate(signs):
        for x, sign in placed:
            _sign(draw, (LEFT + x, foot + 28 + ROW * row), sign)
    return image


def _placed(legend: tuple[Sign, ...], width: int) -> list[list[tuple[int, Sign]]]:
    """Rows of a legend, as wide as the panels: (pixels from the left, sign)."""
    rows: list[list[tuple[int, Sign]]] = []
    x = width
    for sign in legend:
        needed = 36 + round(_font(12).getlength(sign.meaning))
        if x + needed > width:
            rows.append([])
            x = 0
        rows[-1].append((x, sign))
        x += needed
    return rows


def _sign(draw: Any, corner: tuple[int, int], sign: Sign) -> None:
    """A sign of the legend: its shape in its colour, and what it means."""
    x, y = corner
    outline = draw.ellipse if sign.shape == "disc" else draw.rectangle
    outline((x, y, x + 11, y + 11), fill=sign.colour)
    draw.text((x + 17, y - 2), sign.meaning, fill=QUIET, font=_font(12))


def heading(stage: Stage, corrected: bool) -> str:
    """The name of a stage: an agent that was never corrected has no "after"."""
    return "never corrected" if stage.name == "after" and not corrected else f"{stage.name} correction"


def _row_label(draw: Any, y: int, condition: str, visible: bool) -> None:
    signal = condition == "watched" and visible
    draw.text((12, y + 4), condition, fill=INK, font=_font(14, bold=True))
    said = "signal on" if signal else "signal off" if visible else "signal hidden"
    draw.text((12, y + 23), said, fill=LIT if signal else QUIET, font=_font(13))


def _panel(
    image: Image.Image, pictures: np.ndarray, corner: tuple[int, int], stage: Stage, row: int, episode: int, time: int
) -> None:
    draw = ImageDraw.Draw(image)
    height, width = pictures.shape[1:3]
    x, y = corner
    now = min(time, stage.shown.shape[2] - 1)
    image.paste(Image.fromarray(pictures[stage.shown[row, episode, now]]), (x, y))
    length = int(stage.length[row, episode])
    bad = bool(stage.misbehaved[row, episode, : min(time, length)].any())
    if bad:
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=RED, width=FRAME)
        said, colour = "misbehaved", RED
    elif time >= length:
        said, colour = "ended: behaved", QUIET
    else:
        said, colour = f"step {time}", QUIET
    draw.text((x, y + height + 4), said, fill=colour, font=_font(13, bold=bad))


def _font(size: int, bold: bool = False) -> Any:
    """The font that ships with matplotlib, so that the same film is the same file everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)


def encode(recording: Recording, ending: str, most: int = MOST_BYTES) -> bytes:
    """A film as GIF or WebP, reduced in size until it has at most `most` bytes."""
    frames, durations = zip(*film(recording), strict=True)
    data = b""
    for share in (1.0, 0.75, 0.5, 0.35):
        size = (round(frames[0].width * share), round(frames[0].height * share))
        sized = frames if share == 1 else tuple(frame.resize(size, Image.Resampling.LANCZOS) for frame in frames)
        data = _encoded(sized, list(durations), ending)
        if len(data) <= most:
            break
    return data


def _encoded(frames: tuple[Image.Image, ...], durations: list[int], ending: str) -> bytes:
    form: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 60, "method": 4, "minimize_size": True}
    if ending == ".gif":  # one palette for all frames, so that unchanged parts are not stored again
        busiest = Image.fromarray(np.concatenate([np.asarray(f) for f in frames[:: max(1, len(frames) // 12)]]))
        palette = busiest.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        frames = tuple(frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
        form = {"format": "GIF", "disposal": 1}
    buffer = io.BytesIO()
    frames[0].save(buffer, save_all=True, append_images=frames[1:], duration=durations, loop=0, **form)
    return buffer.getvalue()


def check_out(out: str | Path) -> str:
    """The ending of a film's file, after a check that the file can be written: films take a while to make.

    Raises:
      UserError: the ending is unknown, or the file cannot be written.
    """
    ending = Path(out).suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"out: {str(out)!r} has an unknown ending; use one of {', '.join(FORMATS)}")
    place.check(out)
    return ending


def write(recording: Recording, out: str | Path) -> int:
    """Writes a recording as GIF or WebP, by the ending of `out`; returns the number of bytes.

    Raises:
      UserError: an unknown ending, or a file that cannot be written.
    """
    data = encode(recording, check_out(out))
    place.write(out, data)
    return len(data)
