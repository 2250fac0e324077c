"""`lumienv completion`"""

from pathlib import Path

import click

from lumienv.cli.main import Common, common_options

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@common_options
@click.argument("shell", type=click.Choice(SHELLS))
def command(common: Common, shell: str) -> None:
    """Print the script by which a shell completes lumienv's words when TAB is pressed.

    \b
    bash: echo 'eval "$(lumienv completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(lumienv completion zsh)"' >> ~/.zshrc
    fish: lumienv completion fish > ~/.config/fish/completions/lumienv.fish

    Completion starts nothing and uses no network.
    """
    script = Path(__file__).parent / "shells" / f"lumienv.{shell}"
    common.output.text(script.read_text(encoding="utf-8").rstrip("\n"))
