"""The commands that only look, besides `check`, `plan` and `status`: names, options and help."""

from __future__ import annotations

import click

from rotator.cli.options import Options


@click.command()
@click.option("--stub", is_flag=True, help="Print a file for `include` that names the keys under no policy.")
@click.option(
    "--older-than",
    metavar="DURATION",
    default="90d",
    show_default=True,
    help="Call keys old that were made longer ago.",
)
@click.pass_obj
def discover(options: Options, *, stub: bool, older_than: str) -> int:
    """Show all keys of all providers, and what matters about each.

    Which are under no policy, never expire, may do more than use the service, or are old. Touches nothing, and works
    before there is any policy or journal.
    """
    from rotator.cli import discover as command  # noqa: PLC0415 (loaded when it is called)

    if stub and options.as_json:
        message = "--stub prints YAML; leave out `--output json`"
        raise click.UsageError(message)
    return command.look_around(options, older_than, as_stub=stub)


@click.command()
@click.pass_obj
def identify(options: Options) -> int:
    """Say whose secret is on standard input, and whether it works.

    For a secret that was found where it should not be: `rotator identify < secret` says which key it is of, in which
    lineage, and what to do. Touches nothing, and never shows the secret.
    """
    from rotator.cli import identify as command  # noqa: PLC0415 (loaded when it is called)

    return command.identify(options)


@click.command("vault-policy")
@click.pass_obj
def vault_policy(options: Options) -> int:
    """Print the rights in Vault that the policy file needs.

    As a policy of Vault, with no right more. Looks at the file only.
    """
    from rotator.cli import vault_policy as command  # noqa: PLC0415 (loaded when it is called)

    return command.vault_policy(options)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script with which a shell completes commands.

    For bash, write `source <(rotator completion bash)` into ~/.bashrc, for zsh the same with zsh into ~/.zshrc, for
    fish: `rotator completion fish > ~/.config/fish/completions/rotator.fish`.
    """
    from rotator.cli import completion as command  # noqa: PLC0415 (loaded when it is called)

    return command.completion(context.find_root().command, shell)


COMMANDS = (completion, discover, identify, vault_policy)
