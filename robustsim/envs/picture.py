"""The default picture: of an observation that is an image, where an environment draws none. NumPy, on the host."""

import numpy as np

SIDE = 200  # pixels that a picture is about wide
PAPER, INK = (24, 26, 32), (240, 240, 236)
# Of channels, in turn (Okabe and Ito 2008, but for black).
CHANNELS = np.array(
    [(0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66)], float
)


def of_image(image: np.ndarray) -> np.ndarray:
    """uint8[H * k, W * k, 3] of an observation [H, W, C], k pixels a cell.

    Three channels with values between 0 and 1 (or up to 255) that are not flags are red, green and blue; one channel
    is grey; and of others, as of flags, each has its colour, mixed where several are there.
    """
    image = np.nan_to_num(np.asarray(image, float))
    flags = bool(np.isin(image, (0.0, 1.0)).all())
    if image.shape[2] == 3 and not flags:
        colours = image * (255.0 if image.max(initial=0.0) <= 1 else 1.0)
    elif image.shape[2] == 1:
        low, high = float(image.min()), float(image.max())
        share = (image - low) / (high - low) if high > low else np.zeros_like(image)
        colours = np.array(PAPER) + share * (np.array(INK, float) - np.array(PAPER))
    else:
        weight = np.clip(image, 0, None)
        total = weight.sum(2, keepdims=True)
        mixed = weight @ CHANNELS[np.arange(image.shape[2]) % len(CHANNELS)] / np.maximum(total, 1e-9)
        colours = np.where(total > 0, mixed, np.array(PAPER, float))
    size = max(1, SIDE // max(image.shape[:2]))
    return np.clip(colours, 0, 255).round().astype(np.uint8).repeat(size, 0).repeat(size, 1)
