"""`emulator completion`: what a shell evaluates to complete commands, options, kinds and names of objects."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from emulator.cli.command import command
from emulator.cli.main import COMPLETE, PROGRAM, cli

EXAMPLES = """
source <(emulator completion bash)
emulator completion zsh > ~/.zfunc/_emulator
emulator completion fish > ~/.config/fish/completions/emulator.fish
"""


@command("completion", examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL; names of objects are asked of the cluster that runs."""
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(completion_class(cli(), {}, PROGRAM, COMPLETE).source())
