"""What `lumienv run` does with its arguments; click and the heavy rooms are imported only on a failure."""

import os
import sys

from lumienv.errors import LumienvError
from lumienv.launch.arguments import RunArguments
from lumienv.launch.run import become, plan_run
from lumienv.paths import Path

TYPE_CHECKING = False

if TYPE_CHECKING:
    from lumienv.overlay.generation import Generation


def run(arguments: RunArguments) -> int:
    """Become the command; returns an exit status only when that was not to be or has failed."""

    def note(line: str) -> None:
        if arguments.quiet:
            return
        from lumienv.ui import Output, colored

        Output(arguments.quiet, color=colored(arguments.color, os.environ)).note(line)

    try:
        plan = plan_run(
            arguments, os.environ, lambda folder, reason: sync_first(folder, reason, arguments), note
        )
        for line in plan.notes:
            note(line)
        if arguments.print_only:
            # Arguments are bytes, whatever the terminal's encoding.
            sys.stdout.buffer.write(os.fsencode(f"{plan.explained() if arguments.verbose else plan}\n"))
            sys.stdout.flush()
            return 0
        become(plan, os.environ)
    except LumienvError as error:
        from lumienv.ui import colored, show_error

        show_error(error, colored(arguments.color, os.environ))
        return error.exit_code
    except KeyboardInterrupt as error:
        from lumienv.cli.ending import INTERRUPTED, status_of
        from lumienv.ui import colored, show_error

        show_error(LumienvError(INTERRUPTED), colored(arguments.color, os.environ))
        return status_of(error)
    except Exception as error:
        from lumienv.cli.main import show_bug

        return show_bug(error)
    return 0


def sync_first(folder: Path, reason: str, arguments: RunArguments) -> None:
    """Bring the environment up to date, as what was synced last."""
    from lumienv.cli.ending import clean_up_first
    from lumienv.cli.sync import show_warnings
    from lumienv.manifest import group_key
    from lumienv.overlay.generation import current_mode
    from lumienv.project import open_project
    from lumienv.project.sync import sync
    from lumienv.ui import Output, colored

    clean_up_first()  # the command has its signals back: becoming it resets them
    # What the command prints must stay its own: this goes to standard error.
    color = colored(arguments.color, os.environ)
    output = Output(arguments.quiet, int(arguments.verbose), color, not arguments.no_progress)
    output.note(f"syncing first: {reason}")
    project = open_project(str(folder), os.environ, offline=arguments.offline)
    have = _current(project.manifest.store_path)
    if have is None:
        done = sync(project, output, mode=current_mode(project.manifest.store_path), accept=False)
        show_warnings(output, done)
        return
    # What was synced last, by whatever command, is brought up to date, and stays what it is.
    known = project.manifest.groups
    left_out = project.manifest.dev_group is not None and group_key(have.groups, "dev") is None
    done = sync(
        project,
        output,
        mode=have.mode,
        builder=have.builder or None,
        groups=[name for name in known if group_key(have.groups, name) is not None],
        no_groups=["dev"] if left_out else [],
        accept=False,  # what others made is run when the user says so, not on the way
    )
    show_warnings(output, done)


def _current(store: Path) -> "Generation | None":
    """The current environment: a sync on the way keeps its mode, builder and groups."""
    from lumienv.errors import StoreError
    from lumienv.overlay.generation import current_generation

    try:
        return current_generation(store)
    except StoreError:
        return None
