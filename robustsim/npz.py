"""Reading `.npz` files that may come from anyone."""

import io
import zipfile

import numpy as np


def arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file as this package writes them: uncompressed, without Python objects.

    Raises:
      ValueError: it is something else, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed")  # and may unpack to more than there is memory
        with np.load(io.BytesIO(data)) as found:
            return {name: found[name] for name in found.files}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, KeyError, OSError, MemoryError) as error:
        raise ValueError(str(error)) from None
