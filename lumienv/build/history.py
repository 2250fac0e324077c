"""A file as git has it, read without starting anything that the repository names."""

import os
from pathlib import Path

from lumienv.build.git import OPTIONS, OTHERS
from lumienv.errors import ContainerError, LockError, UsageError
from lumienv.runtime.process import capture


def committed(path: Path, revision: str) -> str:
    """The text of the file `path` at a commit, branch or tag.

    `cat-file` runs no filter, pager or hook. The repository may be a partial clone, whose configuration says
    how the rest is fetched: that is switched off. Raises LockError where git has no such file,
    UsageError for what is no revision.
    """
    if revision.startswith("-"):
        raise UsageError(f"{revision} is no revision", hint="name a commit, a branch or a tag: --rev HEAD~1")
    env = {name: value for name, value in os.environ.items() if name not in OTHERS}
    env |= {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    words = ("cat-file", "blob", f"{revision}:./{path.name}")
    try:
        done = capture(["git", *OPTIONS, *words], env=env, cwd=path.parent)
    except ContainerError:
        raise LockError(
            "there is no git on this machine", hint="compare with a file: lumienv diff OLD_LOCK"
        ) from None
    if done.returncode == 0:
        return done.stdout
    said = [line.removeprefix("fatal: ") for line in done.stderr.splitlines() if line.startswith("fatal: ")]
    raise LockError(
        f"git has no {path.name} at {revision}",
        *said[:1],
        hint="name a commit that has it with --rev, or compare with a file: lumienv diff OLD_LOCK",
    )
