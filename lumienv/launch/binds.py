"""Host paths that a command is to see: what the user names, and the project itself."""

import os
from collections.abc import Iterable, Sequence

from lumienv.errors import ManifestError
from lumienv.launch.inherited import is_below
from lumienv.launch.variables import is_text
from lumienv.manifest import Manifest
from lumienv.overlay.generation import Generation
from lumienv.runtime import Bind

# Both runtimes mount these, and the user's home, where their administrator has not forbidden it ("mount tmp",
# "mount home" in their configuration).
_MOUNTED = ("/tmp", "/var/tmp")  # noqa: S108
# Both leave these to the image when a command is started in them (container_linux.go, addCwdMount).
_OF_THE_IMAGE = ("/", "/etc", "/bin", "/mnt", "/usr", "/var", "/opt", "/sbin", "/lib", "/lib64")


def merged(
    site: Sequence[Bind],
    manifest: Manifest,
    typed: Sequence[str],
    generation: Generation,
    *,
    look: bool = True,
) -> list[Bind]:
    """The binds of the site, of `[run] bind` and of `--bind`, where of one target the last is taken.

    Raises ManifestError for one that cannot be read, has no source here, or would hide the environment, and
    for two in lumienv.toml with the same target.
    """
    written: dict[str, Bind] = {}
    for text in manifest.run.bind:
        bind = user_bind(text, manifest, look=look)
        other = written.setdefault(bind.target, bind)
        if other != bind:
            raise ManifestError(
                f"[run] bind names the target {bind.target} twice: for {other.source} and for {bind.source}",
                hint="remove one of them, or give it another target: source:target",
            )
    written |= {bind.target: bind for bind in (user_bind(text, manifest, look=look) for text in typed)}
    for bind in written.values():
        _check_target(bind, generation)
        if not is_text(bind.source + bind.target):
            raise ManifestError(
                f"the bind {bind.source}:{bind.target} has bytes that are not UTF-8, which no runtime takes",
                hint="rename the folder, or bind the one above it",
            )
    return list({bind.target: bind for bind in (*site, *written.values())}.values())


def user_bind(text: str, manifest: Manifest, *, look: bool = True) -> Bind:
    """`source[:target[:ro|rw]]`, as singularity's --bind reads it; `look`: whether the source is there."""
    written, *rest = text.split(":")
    source = os.path.join(manifest.directory, os.path.expanduser(written))  # noqa: PTH111, PTH118
    target = rest[0] if rest and rest[0] else source
    options = rest[1].split(",") if len(rest) > 1 else []
    if not written or len(rest) > 2 or set(options) - {"ro", "rw"} or not target.startswith("/"):
        raise ManifestError(f"the bind {text} cannot be read", hint="write source[:target[:ro]]")
    if look and not os.path.exists(source):  # noqa: PTH110
        raise ManifestError(
            f"the bind {text} names {source}, which does not exist here",
            hint="a missing source would keep the container from starting; make it, or remove the bind",
        )
    return Bind(source, os.path.normpath(target), writable="ro" not in options)


def _check_target(bind: Bind, generation: Generation) -> None:
    """Raises ManifestError for a target over the overlay, or over what the image's Python consists of."""
    prefix, number = generation.image_prefix, ".".join(generation.python.split(".")[:2])
    library = f"{prefix}/lib/python{number}"
    hidden = ""
    if is_below(generation.mount, [bind.target]) or is_below(bind.target, [generation.mount]):
        hidden = f"the environment, which is seen at {generation.mount}"
    elif prefix and any(
        is_below(place, [bind.target]) for place in (f"{prefix}/bin/python", f"{library}/site-packages")
    ):
        hidden = f"the image's Python, which lies in {prefix}"
    if hidden:
        raise ManifestError(
            f"the bind {bind.source}:{bind.target} would hide {hidden}",
            hint=f"give it another target: {bind.source}:/data",
        )


def with_project(binds: Sequence[Bind], folder: str) -> list[Bind]:
    """`binds`, and one for the project's folder where no other shows it.

    The runtime itself mounts but the folder that a command is started in: `../data` would be missing there.
    A folder behind a link is shown by both names.
    """
    real = os.path.realpath(folder)
    added = []
    for name in dict.fromkeys((real, folder)):
        seen = name in _OF_THE_IMAGE or is_below(name, [*(bind.target for bind in binds), *_MOUNTED])
        if not seen and not is_below(name, [_home()]):
            added.append(Bind(real, name, writable=True))
    return [*binds, *added]


def ordered(binds: Iterable[Bind]) -> list[Bind]:
    """The same binds, none of them before one whose target it lies in: that would be laid over it."""
    found: list[Bind] = []
    for bind in binds:
        inner = [i for i, other in enumerate(found) if is_below(other.target, [bind.target])]
        found.insert(inner[0] if inner else len(found), bind)
    return found


def unseen_folder(binds: Iterable[Bind]) -> str | None:
    """A sentence where the current folder will be another one in the container; None else."""
    try:
        here = os.getcwd()  # noqa: PTH109
    except OSError:
        return "the current folder is gone: the command starts in your home directory"
    if not is_text(here):
        return "the name of the current folder is not UTF-8: the command starts in your home directory"
    if here in _OF_THE_IMAGE[1:] and not is_below(here, [bind.target for bind in binds]):
        return f"the command starts in the image's own {here}: this machine's is not seen in a container"
    return None


def _home() -> str:
    """Where the runtime finds it: not what HOME says."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/nonexistent"
