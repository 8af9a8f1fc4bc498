"""The commands in `rotator --help`, by what a person wants to do."""

from __future__ import annotations

import click

SECTIONS = {
    "Look, touching nothing": ("check", "plan", "status", "history", "discover", "identify"),
    "Rotate": ("once", "rotate", "move"),
    "Take keys in, and let them go": ("adopt", "import", "release", "accept", "forget"),
    "Hold still": ("pause", "resume"),
    "Set it up": ("schema", "vault-policy", "completion", "demo"),
}
"""Which commands stand under which title, in this order. Those that none names come last."""

_OTHERS = "Other commands"


class Sectioned(click.Group):
    """A group whose help lists its commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section."""
        named = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        for title, names in {**SECTIONS, _OTHERS: others}.items():
            commands = [command for name in names if (command := self.get_command(ctx, name))]
            if commands:
                limit = formatter.width - 6 - max(len(str(command.name)) for command in commands)
                with formatter.section(title):
                    formatter.write_dl([(str(one.name), one.get_short_help_str(limit)) for one in commands])
