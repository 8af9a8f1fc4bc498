"""What `make tools` provides."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def uv() -> Path:
    """Return the uv that it found on PATH or fetched."""
    return ROOT / (ROOT / ".tools" / "uv-path").read_text().strip()
