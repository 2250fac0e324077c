"""`lumienv shell`"""

import os

import click

from lumienv.cli.kernel import with_kernel
from lumienv.cli.run import run
from lumienv.cli.run_command import click_option
from lumienv.launch.arguments import OPTIONS, arguments
from lumienv.manifest import find_manifest, start_folder

# One task of the step that the shell is, which leaves the job's processors to others.
_INTERACTIVE = ("--pty", "--overlap", "--nodes=1", "--ntasks=1")

# What the user's own shell would read or run first knows nothing of the image.
_SHELL = (
    "unset ENV PROMPT_COMMAND; "
    'if command -v bash >/dev/null 2>&1; then export PS1="$1"; exec bash --norc; fi; '
    'export PS1="$2"; exec sh'
)


def shell_words(name: str) -> list[str]:
    """The command that opens a shell with `name` in its prompt: bash where the image has it, else sh."""
    # Shells run what stands in a prompt, and it is the name of a folder.
    safe = "".join(c for c in name if c.isalnum() or c in "._-") or "lumienv"
    return ["sh", "-c", _SHELL, "sh", rf"({safe}) \w\$ ", f"({safe}) $ "]


def _shell(**values: object) -> int:
    project = values.get("project")
    manifest = find_manifest(start_folder(project if isinstance(project, str) else None, os.environ))
    given = arguments(shell_words(manifest.parent.name), {**values, "options": _INTERACTIVE})
    return run(given)


command = with_kernel(
    click.Command(
        "shell",
        callback=_shell,
        params=[click_option(option) for option in OPTIONS],
        help="Open an interactive shell in the environment: bash, or sh where the image has none. Inside a "
        "Slurm allocation srun --pty is put in front. The shell's exit status is lumienv's.",
    )
)
