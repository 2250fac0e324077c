"""What cotainr does with a base and a tree, by its Python interface: `repack.py BASE TREE PLACE OUT`.

It runs on a Python that has cotainr, and nothing of lumienv's.
"""

import shutil
import sys
from pathlib import Path

from cotainr.container import SingularitySandbox
from cotainr.tracing import LogSettings


def main(base: str, tree: str, place: str, out: str) -> None:
    """Unpack the base, copy the tree to its place, set PATH, and pack all of it."""
    with SingularitySandbox(base_image=base, log_settings=LogSettings(no_color=True)) as sandbox:
        shutil.copytree(tree, sandbox.sandbox_dir / place.lstrip("/"), symlinks=True)
        sandbox.add_to_env(shell_script=f'export PATH="{place}/bin:$PATH"')
        sandbox.add_metadata()
        sandbox.build_image(path=Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
