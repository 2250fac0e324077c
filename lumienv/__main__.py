"""The entry point. `run` takes a short way past the command-line library: it stands before every job."""

import atexit
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """The `lumienv` program; does not return."""
    # Modules and index pages are hundreds of thousands of objects, none of them garbage: looking through them
    # again and again takes 1 of 20 ms of a run, 55 of 1,150 of a lock with nothing cached, 10 of 160 where it
    # is up to date.
    gc.set_threshold(200_000, 20, 50)
    words = sys.argv[1:]
    if words[:1] == ["run"]:
        from lumienv.launch.arguments import parse

        arguments = parse(words[1:], os.environ)
        if arguments is not None:
            from lumienv.cli.run import run

            leave(run(arguments))
    if words[:1] == ["srun"]:
        from lumienv.cli.srun import asks_for_help, srun

        if not asks_for_help(words[1:]):
            leave(srun(words[1:]))
    if words[:1] == ["__complete"]:  # on every TAB in a shell
        from lumienv.cli.complete import complete

        sys.exit(complete(words[1:]))
    atexit.register(gc.freeze)  # at its end, where the interpreter would look through them once more
    from lumienv.cli.main import main as cli

    leave(cli())


def leave(status: int) -> "NoReturn":
    """End with this exit status."""
    if "threading" in sys.modules:
        from lumienv.cli.ending import leave_threads

        leave_threads(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
