"""``glossi-sync completion``: the script that makes a shell complete commands, options and addresses."""

from __future__ import annotations

import click

from glossi_sync.cli.errors import fail


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print the script by which SHELL completes commands, options and addresses of glossi-sync.

    For bash, in ~/.bashrc: eval "$(glossi-sync completion bash)". For zsh, in ~/.zshrc: eval "$(glossi-sync completion
    zsh)". For fish: glossi-sync completion fish > ~/.config/fish/completions/glossi-sync.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    completion = get_completion_class(shell)
    if completion is None:
        fail(f"This version of click cannot complete in {shell}; upgrade it: pip install --upgrade click")
    root = click.get_current_context().find_root().command
    script = completion(root, {}, "glossi-sync", "_GLOSSI_SYNC_COMPLETE")
    click.echo(script.source_template % script.source_vars())
