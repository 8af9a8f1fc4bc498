"""What is given before the command: where the policy file is, and how to talk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rotator.cli.text import emit

if TYPE_CHECKING:
    from rotator.cli.policy_files import PolicyTexts
    from rotator.cli.progress import Progress
    from rotator.log import Form, Level
    from rotator.policy.settings import PolicyFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that all commands share. `further` are files of policies that go with the policy file."""

    config: Path
    further: tuple[Path, ...]
    as_json: bool
    log_format: Form
    log_level: Level

    def start_logging(self) -> None:
        """Send log lines to standard error, as asked."""
        from rotator import log  # noqa: PLC0415 (structlog is slow to load)

        log.configure(self.log_level, self.log_format)

    def load(self) -> PolicyFile:
        """Return the policy file. Raise PolicyError when something in it is wrong, Failure when it can't be read."""
        return self.read().load()

    def read(self) -> PolicyTexts:
        """Return the texts of the policy file and of those that go with it. Raise Failure when it can't be read."""
        from rotator.cli import policy_files  # noqa: PLC0415 (pyyaml is slow to load)

        return policy_files.read(self.config, self.further)

    def progress(self) -> Progress:
        """Return what tells of long work, to somebody who watches it at a terminal."""
        from rotator.cli.progress import Progress, watched  # noqa: PLC0415 (--help does not need it)

        return Progress(shown=not self.as_json and watched())

    def emit(self, document: Mapping[str, object], shown: str) -> None:
        """Write a result, in the form that was asked for."""
        from rotator.cli.documents import text_of  # noqa: PLC0415 (--help does not need it)

        emit(text_of(document) if self.as_json else shown)
