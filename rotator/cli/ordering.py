"""The command line of orders: names, options and help. What they do is in modules of their own, loaded when called."""

from __future__ import annotations

import click

from rotator.cli.options import Options
from rotator.policy.names import resembles_secret

_LONGEST_REASON = 300
_LONGEST_GLOB = 300
_GLOB_CHARACTERS = frozenset("*?[")


def _one_line(text: str, longest: int) -> str:
    if len(text) > longest or not text.isprintable():
        message = f"one line of at most {longest} visible characters"
        raise click.BadParameter(message)
    return text


def _reason(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    if resembles_secret(text):
        message = "it holds something as long as a secret; a reason is kept in Vault and in logs"
        raise click.BadParameter(message)
    return _one_line(text, _LONGEST_REASON)


def _globs(_context: click.Context, _parameter: click.Parameter, globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_one_line(glob, _LONGEST_GLOB) for glob in globs)


def _name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if _GLOB_CHARACTERS & set(name):
        message = "one lineage, by its whole name; `rotator status` shows all names"
        raise click.BadParameter(message)
    return name


def _only_a_name(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> str:
    """Return the one word that was given. What else stands there may be the secret, and is never shown."""
    if len(words) != 1:
        message = (
            "give the name of one lineage and nothing else; the secret goes to standard input: other users of this "
            "machine can see the command line"
        )
        raise click.UsageError(message)
    return _name(context, parameter, words[0])


WHY = click.option(
    "--reason", "why", metavar="TEXT", default="", callback=_reason, help="Why, for the record and the log."
)
YES = click.option("--yes", is_flag=True, help="Do not ask.")
_SOME = click.argument("globs", metavar="LINEAGE-GLOB...", nargs=-1, required=True)
_PAUSES = click.argument("globs", metavar="[LINEAGE-GLOB]...", nargs=-1, callback=_globs)
_ONE = click.argument("lineage", callback=_name)


def _order(options: Options, globs: tuple[str, ...], kind: str, why: str, *, yes: bool = True) -> int:
    from rotator.cli import orders as command  # noqa: PLC0415 (loaded when it is called)
    from rotator.model.order import OrderKind  # noqa: PLC0415 (pydantic is slow to load)

    return command.order(options, globs, OrderKind(kind), why, yes=yes)


@click.command()
@_SOME
@WHY
@click.pass_obj
def adopt(options: Options, *, globs: tuple[str, ...], why: str) -> int:
    """Take keys in, although their policy only watches.

    They are rotated when they are due. A lineage that was forgotten is taken in again as it was.
    """
    return _order(options, globs, "adopt", why)


@click.command()
@_SOME
@WHY
@YES
@click.pass_obj
def release(options: Options, *, globs: tuple[str, ...], why: str, yes: bool) -> int:
    """Let keys from before rotator be deleted.

    For when their consumers read Vault. Shows when each was last used, and asks. The next sweep deletes them, once
    their overlap is over.
    """
    return _order(options, globs, "release", why, yes=yes)


@click.command()
@_ONE
@WHY
@click.pass_obj
def accept(options: Options, *, lineage: str, why: str) -> int:
    """Accept the rights that a new key got.

    Ends a hold for `parity`: exactly these scopes and tags, instead of those of the old key, are what is wanted from
    now on.
    """
    return _order(options, (lineage,), "accept", why)


@click.command()
@_SOME
@WHY
@YES
@click.pass_obj
def forget(options: Options, *, globs: tuple[str, ...], why: str, yes: bool) -> int:
    """Leave lineages alone from now on.

    Shows what stays alive, and asks. Nothing is deleted, neither keys nor entries; `rotator adopt` takes a lineage in
    again as it was.
    """
    return _order(options, globs, "forget", why, yes=yes)


@click.command()
@_SOME
@click.option(
    "--emergency",
    is_flag=True,
    help="Delete all earlier keys as soon as the new ones are published: no overlap, no release, no pause.",
)
@WHY
@YES
@click.pass_obj
def rotate(options: Options, *, globs: tuple[str, ...], emergency: bool, why: str, yes: bool) -> int:
    """Replace keys now, and wait for it.

    An order stands until it is carried out: if this command is interrupted, the next sweep goes on. With --emergency
    it shows every key that will be deleted, with its last use, and asks.
    """
    return _order(options, globs, "emergency" if emergency else "rotate", why, yes=yes)


@click.command(name="import")
@click.argument("lineage", metavar="LINEAGE", nargs=-1, callback=_only_a_name)
@WHY
@click.pass_obj
def import_(options: Options, *, lineage: str, why: str) -> int:
    """Publish the secret of a key that is in use.

    It is read from standard input (`rotator import LINEAGE < FILE`), and proven to be that very key's first. Consumers
    can then move to Vault before any rotation.
    """
    from rotator.cli import handed_over as command  # noqa: PLC0415 (loaded when it is called)

    return command.hand_over(options, lineage, why)


@click.command()
@click.argument("old", callback=_name)
@click.argument("new", callback=_name)
@click.option("--give-up", is_flag=True, help="Serve it at OLD no more. Shows what stays there, and asks.")
@WHY
@YES
@click.pass_obj
def move(options: Options, *, old: str, new: str, give_up: bool, why: str, yes: bool) -> int:
    """Serve a lineage at another place (MOUNT/PATH).

    NEW is where the policy file puts it now: edit that first. OLD is served too until it is given up, so that consumers
    can be moved one by one: both places get each new secret, and no old key is deleted before both have it. Where only
    `destination.fields` changed, OLD and NEW are the same. Nothing is moved between Vault's namespaces: that takes
    another instance.
    """
    from rotator.cli import move as command  # noqa: PLC0415 (loaded when it is called)

    if give_up:
        return command.give_up(options, old, new, why, yes=yes)
    return command.move(options, old, new, why)


@click.command()
@_PAUSES
@WHY
@click.pass_obj
def pause(options: Options, *, globs: tuple[str, ...], why: str) -> int:
    """Act on nothing that matches, until it is resumed.

    All lineages without a glob. It is kept in Vault, and so counts for every rotator of this instance; what is under
    way is brought to its end. An emergency goes on all the same.
    """
    from rotator.cli import pauses as command  # noqa: PLC0415 (loaded when it is called)

    return command.pause(options, globs, why)


@click.command()
@_PAUSES
@WHY
@click.pass_obj
def resume(options: Options, *, globs: tuple[str, ...], why: str) -> int:
    """End pauses, by the globs that they were given with.

    All of them without any.
    """
    from rotator.cli import pauses as command  # noqa: PLC0415 (loaded when it is called)

    return command.resume(options, globs, why)


@click.command()
@_ONE
@click.pass_obj
def history(options: Options, *, lineage: str) -> int:
    """Show what was done about a lineage.

    Rotations with their evidence, deletions, and orders with who gave them and why.
    """
    from rotator.cli import history as command  # noqa: PLC0415 (loaded when it is called)

    return command.history(options, lineage)


COMMANDS = (adopt, release, accept, forget, rotate, import_, move, pause, resume, history)
