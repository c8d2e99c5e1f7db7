"""For the documentation site: pictures of figures/, which lie outside of docs/, come along."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FIGURES = Path("figures")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pictures of figures/."""
    for path in sorted(FIGURES.glob("*")):
        if path.suffix in (".png", ".gif"):
            files.append(File(str(path), ".", config["site_dir"], use_directory_urls=False))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Pages name them as they lie in the repository; the wide table of the gallery gets all the room."""
    del config, files
    if page.file.src_uri == "gallery.md":
        page.meta["hide"] = ["toc"]
    return markdown.replace("](../figures/", "](figures/")
