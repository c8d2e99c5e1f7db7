"""Where scenarios that ran on this machine are. A results directory is not asked: it may come from anyone."""

from contextlib import suppress
from pathlib import Path

from robustsim import files
from robustsim.errors import StorageError, UserError
from robustsim.spec import sources
from robustsim.spec.scenario import ScenarioFactory


def remember(factory: ScenarioFactory) -> None:
    """Notes the file of a scenario in the user's cache; does nothing where that cannot be written."""
    if factory.source:
        with suppress(StorageError):
            files.write_atomically(_note(factory.source_hash), str(Path(factory.source).resolve()).encode())


def recall(source_hash: str) -> Path | None:
    """The file of the scenario with this hash, if it was run here and is still the same; nothing is executed."""
    try:
        path = Path(_note(source_hash).read_text(encoding="utf-8"))
        return path if sources.digest(path) == source_hash else None
    except (OSError, ValueError, UserError):
        return None


def _note(source_hash: str) -> Path:
    """Named by a hash of the hash, for that may come from a file of somebody else's."""
    return files.cache_folder() / "scenarios" / files.digest(source_hash.encode())[:32]
