"""A generation: one immutable materialised environment, and the file that describes it.

`lumienv run` reads that file before every job, so this module imports only the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from lumienv.errors import StoreError
from lumienv.overlay.trust import check_untouchable, is_revoked, noted_owner, revoke, seal_of
from lumienv.paths import Path
from lumienv.plainjson import loads
from lumienv.runtime import Bind
from lumienv.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = "generation.json"
SCHEMA = 1
MOUNT = "/opt/lumienv"
"""where the overlay tree is seen in a container, unless the image has one there already"""
CARRIERS = {"venv": "tree", "squashfs": "overlay.squashfs", "sif": "image.sif"}
"""mode → what carries the tree, in the generation's directory"""


@dataclass(frozen=True)
class Entrance:
    """How the image's environment is entered: recorded variables, or a command run live."""

    set: Mapping[str, str] = field(default_factory=dict)
    prepend_path: tuple[str, ...] = ()
    live: str = ""
    """a shell command to run before each command, when activation is not recorded"""


@dataclass(frozen=True)
class Generation:
    """What `generation.json` says; paths of the carrier are relative to `path`."""

    path: Path
    digest: str
    mode: str
    base_kind: str
    """`sif` or `host`"""
    base_path: str
    base_name: str
    identity: str
    selection: Mapping[str, Any]
    """the manifest's `[image]` as it was when this was made"""
    inputs: str
    """the digest of the manifest's inputs"""
    lock: str
    """the digest of the lock's bytes"""
    runtime: str
    """`apptainer`, `singularity` or `host`"""
    python: str
    """version of the image's Python"""
    mount: str = MOUNT
    groups: tuple[str, ...] = ()
    entrance: Entrance = Entrance()
    editable: tuple[str, ...] = ()
    """folders of the host whose code is used in place: seen at the same path in the container"""
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """local projects that were built: name → where, as lumienv.toml says, and their state then"""
    fingerprint: str = ""
    """what the base may be recognised by without looking into it"""
    builder: str = ""
    """who made the image of a `sif` generation: `cotainr` or `append`"""
    carrier_identity: str = ""
    """the identity of the image of a `sif` generation"""
    size: int = 0
    """bytes of the carrier's files"""
    files: int = 0
    """how many files the carrier is; 0 where it was made before that was counted"""
    shared: bool = False
    """published for the group by `sync --share`"""
    image_prefix: str = ""
    """where the image's Python lies, its `sys.prefix`: a site tells its image families by that"""
    records: str = ""
    """the digest of the file beside this one that tells what the tree holds (`overlay.records`)"""
    warnings: tuple[str, ...] = ()
    """modules that could not be imported when this was made, a sentence each: perhaps for want of a GPU"""

    @property
    def carrier(self) -> Path:
        """What carries the overlay tree: a directory, a squashfs file or an image."""
        return self.path / CARRIERS[self.mode]

    @property
    def image(self) -> str:
        """What a container is started on: the base, or the image that has the tree inside."""
        return str(self.carrier) if self.mode == "sif" else self.base_path

    @property
    def prefix(self) -> str:
        """Where a command finds the overlay: the mount point, or without a container the tree itself."""
        return str(self.carrier) if self.base_kind == "host" else self.mount

    @property
    def bind(self) -> Bind | None:
        """What makes the tree visible in the container, read-only; None where nothing has to be bound."""
        if self.base_kind == "host" or self.mode == "sif":
            return None
        return Bind(str(self.carrier), self.mount, image_source="/" if self.mode == "squashfs" else None)

    def at(self, path: Path) -> Generation:
        """The same generation, while it lies elsewhere: being built."""
        from dataclasses import replace

        return replace(self, path=path)

    def to_json(self) -> str:
        """The text of `generation.json`."""
        import json
        from dataclasses import asdict

        data = asdict(self)
        del data["path"]
        return json.dumps({"schema": SCHEMA} | data, indent=1) + "\n"


def current_generation(store: Path) -> Generation:
    """The generation synced last into `store`, by its real path: that names the same after a later sync.

    Raises StoreError as `read_generation` does.
    """
    return read_generation(Path(os.path.realpath(store / "current")))


def current_mode(store: Path) -> str | None:
    """The mode of the current generation by its name, which tells also where it must not be run."""
    mode = os.path.basename(os.path.realpath(store / "current")).partition("-")[0]  # noqa: PTH119
    return mode if mode in CARRIERS else None


def all_generations(store: Path) -> list[Path]:
    """The directories of all generations in `store`, the newest first; none of them is looked into."""
    found = []
    with suppress(OSError):
        for path in (store / "generations").iterdir():
            with suppress(OSError):
                if not path.name.startswith("."):
                    found.append(((path / FILE_NAME).stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]


def read_generation(path: Path) -> Generation:
    """The generation in the directory `path`.

    Raises StoreError when there is none, when it is damaged, when this user neither made nor accepted it, or
    when somebody else could have changed it.
    """
    file = path / FILE_NAME
    remedy = "run `lumienv sync` to make your own"
    try:
        owner, user = file.stat().st_uid, os.geteuid()
        description = file.read_bytes()
        seal = seal_of(description, path.stat().st_ino)
        accepted = noted_owner(seal, os.environ)
        trusted = {owner if accepted == owner else user, 0}
        generation = _parsed(path, description) if owner != user and accepted is None else None
        if generation is not None and generation.shared:
            from lumienv.files import owner_name

            raise StoreError(
                f"{owner_name(owner)} shares the environment in {path}, and you have not accepted it yet",
                hint="to use it: lumienv sync",
            )
        check_untouchable((file, *file.parents[:3]), trusted)
        generation = generation or _parsed(path, description)
        elsewhere = generation.carrier.is_symlink()
        if not elsewhere or generation.carrier.exists():  # of an output that is gone, more is known
            check_untouchable((generation.carrier,), trusted)
    except (FileNotFoundError, NotADirectoryError) as error:
        if file.exists():
            gone = os.path.basename(error.filename)  # noqa: PTH119
            raise StoreError(f"the environment in {path} is damaged: {gone} is gone", hint=remedy) from None
        raise StoreError("there is no environment here yet", hint="make one: lumienv sync") from None
    except OSError as error:
        raise StoreError(f"the environment in {path} cannot be read: {error.strerror}", hint=remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(f"the environment in {path} is damaged", hint=remedy) from None
    if accepted is None:
        if is_revoked(seal, os.environ):
            raise StoreError(
                f"the environment in {path} is damaged: `lumienv verify` found it changed",
                hint="make it anew: lumienv sync",
            )
        where = "here by you: it is a copy" if owner == user else "by you"
        raise StoreError(f"the environment in {path} was not made {where}", hint=remedy)
    return generation


def shared_generation(path: Path) -> tuple[Generation, int, str]:
    """What another user shares at `path`, with their user id, and the seal to note down to accept it.

    Raises StoreError when it is not shared, or when somebody else than they could have changed it.
    """
    file = path / FILE_NAME
    try:
        owner = file.stat().st_uid
        description = file.read_bytes()
        generation = _parsed(path, description)
        if not generation.shared:
            from lumienv.files import owner_name

            raise StoreError(f"{owner_name(owner)} does not share the environment in {path}")
        check_untouchable((file, *file.parents[:3], generation.carrier), {owner})
        return generation, owner, seal_of(description, path.stat().st_ino)
    except OSError as error:
        raise StoreError(f"the environment in {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(f"the environment in {path} is damaged") from None


def distrust(generation: Generation) -> None:
    """Run this generation no more, as it is damaged; sync makes it anew. Raises StoreError, OSError."""
    description = (generation.path / FILE_NAME).read_bytes()
    revoke(seal_of(description, generation.path.stat().st_ino), os.environ)


def _parsed(path: Path, description: bytes) -> Generation:
    data = dict(loads(description))
    if data.pop("schema") != SCHEMA:
        raise StoreError(
            f"{path} was made by another version of lumienv", hint="run `lumienv sync` to make it anew"
        )
    entrance = data.pop("entrance")
    return Generation(
        path=path,
        groups=tuple(data.pop("groups")),
        editable=tuple(data.pop("editable", ())),
        warnings=tuple(data.pop("warnings", ())),
        sources={name: (place, state) for name, (place, state) in data.pop("sources", {}).items()},
        entrance=Entrance(entrance["set"], tuple(entrance["prepend_path"]), entrance["live"]),
        **data,
    )
