"""The entry point. `run` takes a short way past the command-line library: it stands before every job."""

import os
import sys


def main() -> None:
    """The `lumienv` program; does not return."""
    words = sys.argv[1:]
    if words[:1] == ["run"]:
        from lumienv.launch.arguments import parse

        arguments = parse(words[1:], os.environ)
        if arguments is not None:
            from lumienv.cli.run import run

            sys.exit(run(arguments))
    from lumienv.cli.main import main as cli

    cli()


if __name__ == "__main__":
    main()
