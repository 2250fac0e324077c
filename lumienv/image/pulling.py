"""Have the runtime make a SIF of an image in a registry or an archive, and note in it where it is from.

`build` and not `pull`, which writes the SIF twice: into its cache, and from there to where it is wanted. Its
flags are those that SingularityCE and Apptainer both have.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lumienv.errors import ContainerError, ImageError, LumienvError, StoreError
from lumienv.files import current_umask, disk_errors
from lumienv.image.description import FILE_NAME, Origin, pulled_description
from lumienv.image.sif import SifFile, read_sif
from lumienv.manifest.imageaddress import ImageAddress
from lumienv.runtime import Command
from lumienv.runtime.process import Completed, capture
from lumienv.runtime.singularity import CACHE_VARIABLES, LOGIN, LOGIN_VARIABLES, Singularity

_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_REFUSED = re.compile(r"unauthorized|authentication required|access to the resource is denied", re.IGNORECASE)


@dataclass(frozen=True)
class Making:
    """What the runtime is asked to do."""

    source: ImageAddress
    """pinned, or an archive by its whole path"""
    origin: Origin
    """what is noted in the image"""
    https: bool = True
    login: bool = True
    """whether the variables with a name and password are meant for this registry"""

    def commands(
        self, runtime: Singularity, target: Path, scratch: Path, environ: Mapping[str, str]
    ) -> tuple[Command, Command]:
        """What makes the image at `target`, and what puts the note on its standard input into it."""
        own_cache = any(environ.get(name) for name in CACHE_VARIABLES)
        cache = () if own_cache else ("--disable-cache",)
        https = () if self.https else ("--no-https",)
        build = ("build", *cache, *https, str(target), str(self.source))
        options = ("--datatype", "6", "--filename", FILE_NAME, "--groupid", "1")
        note = ("sif", "add", *options, str(target), "/dev/stdin")
        return (
            runtime.tool(build, inherited=environ, scratch=scratch, network=True, login=self.login),
            runtime.tool(note, inherited=environ, scratch=scratch),
        )

    def printed(
        self, runtime: Singularity, target: Path, scratch: Path, environ: Mapping[str, str]
    ) -> tuple[str, str]:
        """The same as lines of a shell."""
        build, note = self.commands(runtime, target, scratch, environ)
        text = shlex.quote(pulled_description(self.origin))
        return _line(build, environ), f"printf %s {text} | {_line(note, environ)}"


def make_image(
    making: Making, runtime: Singularity, target: Path, scratch: Path, environ: Mapping[str, str]
) -> SifFile:
    """Make the SIF at `target`, where nothing is yet; killed, or failing, it leaves a part of it there.

    Raises ContainerError, ImageError, StoreError.
    """
    build, note = making.commands(runtime, target, scratch, environ)
    done = capture(build.argv, env=build.environment(environ), cwd=scratch)
    if done.returncode != 0 or not target.is_file():
        raise _failure(making.source, done, scratch)
    text = pulled_description(making.origin)
    done = capture(note.argv, env=note.environment(environ), cwd=scratch, stdin=text)
    if done.returncode != 0:
        raise _failure(making.source, done, scratch)
    with disk_errors("put the image in its place", target):
        target.chmod(0o755 & ~current_umask())
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return read_sif(target)


def _failure(source: ImageAddress, done: Completed, scratch: Path) -> LumienvError:
    said = [line.partition(":")[2].strip() for line in done.stderr.splitlines() if line.startswith("FATAL")]
    said = said or [line.strip() for line in done.stderr.splitlines() if line.strip()][-3:]
    name = Path(done.argv[0]).name
    if _FULL.search(done.stderr):
        return StoreError(
            f"there is not enough room to make an image of {source}",
            *said,
            hint=f"free some space, or name another place for work in between: TMPDIR=/… ({scratch.parent} "
            "is full);\nnothing was changed",
        )
    if _REFUSED.search(done.stderr):
        return ImageError(
            f"{name} is refused {source}",
            *said,
            hint=f"see that {name} knows the password: {LOGIN}",
        )
    how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    return ContainerError(
        f"{name} could not make an image of {source} ({how})",
        *said,
        hint="`lumienv image pull --print` shows the command, to try by itself; nothing was changed",
    )


def _line(command: Command, environ: Mapping[str, str]) -> str:
    """What to type for a command: what it does without, what is set for it, and its words."""
    gone: Sequence[str] = [
        name
        for name in command.unset
        if name.startswith(("SINGULARITY", "APPTAINER")) or name in LOGIN_VARIABLES
    ]
    words = [f"{name}={value}" for name, value in command.env.items() if environ.get(name) != value]
    if gone:
        words = ["env", *(word for name in sorted(gone) for word in ("-u", name)), *words]
        return shlex.join([*words, *command.argv])
    given = [f"{name}={shlex.quote(value)}" for name, _, value in (word.partition("=") for word in words)]
    return " ".join([*given, shlex.join(command.argv)])


def discard(path: Path) -> None:
    """Remove what was not finished."""
    with suppress(OSError):
        path.unlink()
