"""The command line: names, options and help. What a command does is in a module of its own, loaded when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rotator import __version__
from rotator.cli import looking, ordering
from rotator.cli.options import Options
from rotator.cli.sections import Sectioned

if TYPE_CHECKING:
    from rotator.log import Form, Level


class _OnePath(click.Path):
    """A path that an environment variable gives whole, whatever is in it: it names one file."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the value of the variable."""
        return [rv]


def _journal_id(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    from rotator.model.key import is_journal_id  # noqa: PLC0415 (loaded when it is called)

    if text and not is_journal_id(text):
        message = "12 lower-case hexadecimal digits, as the first of the three ids in a mark"
        raise click.BadParameter(message)
    return text


_GLOBS = click.argument("globs", metavar="[LINEAGE-GLOB]...", nargs=-1)
_EXIT_CODE = click.option(
    "--exit-code",
    is_flag=True,
    help="End with 1, 3 or 75 when something failed, is held, or can't be reached.",
)


@click.group(
    cls=Sectioned,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit: 0 fine; 1 something failed; 2 usage; 3 a person is needed; 75 not reachable, try again; 78 bad "
    "policy file.",
)
@click.option(
    "--config",
    metavar="PATH",
    type=_OnePath(path_type=Path),
    multiple=True,
    envvar="ROTATOR_CONFIG",
    default=["/etc/rotator/config.yaml"],
    show_default=True,
    show_envvar=True,
    help="The policy file. Given again: a further file, which holds `policies` only.",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="The form of results, on standard output.",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="The form of logs, on standard error.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that is logged.",
)
@click.version_option(__version__, prog_name="rotator")
@click.pass_context
def rotator(
    context: click.Context, config: tuple[Path, ...], output: str, log_format: str, log_level: str
) -> None:
    """Rotate API keys before they expire, and publish the new secrets to Vault.

    A lineage is the series of keys for one place in Vault, and is named by it: MOUNT/PATH. Commands that take
    lineages take globs of such names, and all lineages without any.
    """
    context.obj = Options(
        config=config[0],
        further=config[1:],
        as_json=output == "json",
        log_format=cast("Form", log_format),
        log_level=cast("Level", log_level),
    )


@rotator.command()
@_GLOBS
@click.option("--offline", is_flag=True, help="Check the file only, without Vault and providers.")
@click.option(
    "--rebuild-journal",
    is_flag=True,
    help="Show what lost records can be rebuilt of entries and marks, ask, and write them where there are none.",
)
@click.option(
    "--include-key",
    "named",
    metavar="ID",
    multiple=True,
    help="With --rebuild-journal: take this key, too, which no mark proves to be ours. Can be given again.",
)
@click.option(
    "--journal-id",
    metavar="ID",
    default="",
    callback=_journal_id,
    help="With --rebuild-journal: the journal's id, where the keys in use do not say it.",
)
@ordering.WHY
@ordering.YES
@click.pass_obj
def check(
    options: Options,
    *,
    globs: tuple[str, ...],
    offline: bool,
    rebuild_journal: bool,
    named: tuple[str, ...],
    journal_id: str,
    why: str,
    yes: bool,
) -> int:
    """Check the policy file, and all that rotations will need.

    Looks at Vault, providers, policies and keys, and touches nothing. What it finds comes with how to mend it. Ends
    with 0 when all is fine or worth a warning only.

    With --rebuild-journal it looks for lineages whose record in Vault is lost, and at nothing else. A key is in use when
    Vault serves its secret; other marked keys become previous, and their overlap begins anew.
    """
    if rebuild_journal:
        from rotator.cli import rebuild, recovery  # noqa: PLC0415 (loaded when it is called)

        if offline:
            message = "--offline and --rebuild-journal exclude each other"
            raise click.UsageError(message)
        wish = recovery.Wish(globs=globs, named=frozenset(named), journal_id=journal_id)
        return rebuild.rebuild_journal(options, wish, why, yes=yes)
    if globs or named or journal_id or why or yes:
        message = "lineages and all options but --offline go with --rebuild-journal"
        raise click.UsageError(message)
    from rotator.cli import check as command  # noqa: PLC0415 (loaded when it is called)

    return command.check(options, offline=offline)


@rotator.command()
@_GLOBS
@click.option(
    "--save", metavar="FILE", type=click.Path(path_type=Path), help="Save what was seen; no secrets."
)
@click.option(
    "--snapshot",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Decide on what was saved: no policy file, no credentials, no network.",
)
@click.option("--at", metavar="TIME", help="With --snapshot: decide as at this time (RFC 3339, or +7d).")
@click.option(
    "--until",
    metavar="TIME",
    help="Show all that would be done until then (90d, or RFC 3339), day by day, and how old keys get.",
)
@_EXIT_CODE
@click.pass_obj
def plan(
    options: Options,
    *,
    globs: tuple[str, ...],
    save: Path | None,
    snapshot: Path | None,
    at: str | None,
    until: str | None,
    exit_code: bool,
) -> int:
    """Show what would be done, when and why. Touches nothing.

    With --until, the real arithmetic is run forward, as if nothing went wrong: rotations and deletions in their windows, hours in
    which more are due than may begin, keys that no time rotates or whose expiry beats a window or a freeze.
    """
    from rotator.cli import plan as command  # noqa: PLC0415 (loaded when it is called)

    if save and snapshot:
        message = "--save and --snapshot exclude each other"
        raise click.UsageError(message)
    if at is not None and not snapshot:
        message = "--at goes with --snapshot"
        raise click.UsageError(message)
    if snapshot:
        status = command.plan_offline(options, globs, snapshot, at, until)
    else:
        status = command.plan(options, globs, save, until)
    return status if exit_code else 0


@rotator.command()
@_GLOBS
@click.option("--limit", metavar="N", type=click.IntRange(min=0), help="Start at most N rotations.")
@click.pass_obj
def once(options: Options, *, globs: tuple[str, ...], limit: int | None) -> int:
    """Do everything that is due now, once. Safe beside other rotators.

    On a signal (SIGTERM, Ctrl-C) nothing new is started and what is under way is finished; a second one ends
    the process at once, and the next run finds what was left.
    """
    from rotator.cli import once as command  # noqa: PLC0415 (loaded when it is called)

    return command.once(options, globs, limit)


@rotator.command()
@click.pass_obj
def run(options: Options) -> int:
    """Run the service: rotate every key before it expires, for as long as the process runs. Safe beside other rotators.

    Serves probes and metrics where `runtime.listen` says. A changed policy file is taken by itself, one with mistakes is
    refused and the one before stays in use; SIGHUP takes it at once and reads credentials again.

    On SIGTERM or Ctrl-C nothing new is started and what is under way is finished; a second one ends the process at once,
    and the next run finds what was left.
    """
    from rotator.cli import service as command  # noqa: PLC0415 (loaded when it is called)

    return command.run(options)


@rotator.command()
@_GLOBS
@_EXIT_CODE
@click.pass_obj
def status(options: Options, *, globs: tuple[str, ...], exit_code: bool) -> int:
    """Show where every lineage stands, and what it waits for. Touches nothing."""
    from rotator.cli import status as command  # noqa: PLC0415 (loaded when it is called)

    found = command.status(options, globs)
    return found if exit_code else 0


@rotator.command()
def schema() -> int:
    """Print the JSON Schema of the policy file, for editors and for checks of your own."""
    from rotator.cli import schema as command  # noqa: PLC0415 (loaded when it is called)

    return command.schema()


@rotator.command()
def demo() -> int:
    """See one rotation, against a simulated Deepgram and a real Vault-API server on this machine."""
    from rotator.cli import demo as command  # noqa: PLC0415 (loaded when it is called)

    return command.demo()


for _command in (*looking.COMMANDS, *ordering.COMMANDS):
    rotator.add_command(_command)
