"""One image that has the tree inside: `append` puts it behind a copy of the base, `cotainr` packs all anew.

Both give the same to whoever uses the image. Appending writes the base once and the tree; a copy on a file
system with reflinks costs nothing at all.
"""

import fcntl
import json
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lumienv.errors import StoreError
from lumienv.files import current_umask, disk_errors
from lumienv.image.description import FILE_NAME, description, layers_of
from lumienv.image.sif import GENERIC_JSON, PARTITION, PRIMARY_SYSTEM, data_objects, read_object
from lumienv.image.snapshot import Snapshot
from lumienv.overlay.generation import Generation
from lumienv.overlay.inside import LABELS, labels_with, layer_of, open_folders, write_environment
from lumienv.overlay.squashfs import pack
from lumienv.runtime.process import Completed, capture
from lumienv.runtime.singularity import Singularity

# linux/fs.h
_FICLONE = 0x40049409
_CHUNK = 16 << 20
# What the runtimes keep for `singularity inspect`, so that it need not start the image.
_INSPECTED = "inspect-metadata.json"
# The architectures of `sif add --partarch`, as `uname -m` calls them.
_ARCHITECTURES = {"i386": 1, "x86_64": 2, "armv7l": 3, "aarch64": 4, "ppc64le": 6}


class Reporter(Protocol):
    """Whom to tell what takes long."""

    def note(self, line: str) -> None:
        """Something worth knowing."""

    def step(self, text: str, detail: Callable[[], str] | None = None) -> AbstractContextManager[None]:
        """Called around something long."""


@dataclass(frozen=True)
class Workshop:
    """With what, and where, an image is made."""

    runtime: Singularity
    scratch: Path
    """an empty node-local directory"""
    processors: int
    report: Reporter
    environ: Mapping[str, str]

    def call(self, *words: str) -> Completed:
        """One of the runtime's own commands, to its end."""
        command = self.runtime.tool(words, inherited=self.environ, scratch=self.scratch)
        return capture(command.argv, env=command.environment(self.environ), cwd=Path("/"))


def append(generation: Generation, root: Path, snapshot: Snapshot, workshop: Workshop) -> None:
    """Make the image of the staged `generation`: its base, and `root` as an overlay partition behind it.

    Raises StoreError, ContainerError.
    """
    image, base, layer = generation.carrier, Path(generation.base_path), layer_of(generation)
    system = [item for item in data_objects(base) if item.kind == PARTITION and item.role == PRIMARY_SYSTEM]
    machine = snapshot.image.architecture or os.uname().machine
    if not system or machine not in _ARCHITECTURES:
        raise StoreError(
            f"{generation.base_name} is no image that an overlay can be appended to",
            hint="use the other builder: lumienv sync --mode sif --builder cotainr",
        )
    options: tuple[str, ...] = ("--datatype", "4", "--partfs", "1", "--parttype", "4")
    options += ("--partarch", str(_ARCHITECTURES[machine]), "--groupid", str(system[0].group))
    with disk_errors("write the environment", root):
        write_environment(root, generation.mount, snapshot.activation)
        labels = labels_with(base_labels(base, workshop), layer)
        (root / LABELS).write_text(json.dumps(labels))
        (root / LABELS).chmod(0o644)
        open_folders(root, generation.mount)
    packed = workshop.scratch / "overlay.squashfs"
    copy = _Copy(base, image)
    with workshop.report.step(f"copying {generation.base_name}, packing the environment", copy.so_far), copy:
        pack(root, packed, workshop.processors)
    sif(workshop, generation, "add", *options, str(image), str(packed))
    packed.unlink()
    _renew_inspection(generation, labels, workshop)


class _Copy:
    """A copy that goes on while something else is done: one waits for the disk, the other computes."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._done = 0
        self._given_up = threading.Event()
        self._thread = ThreadPoolExecutor(1)

    def so_far(self) -> str:
        return f"{self._done / 1e6:.0f} MB"

    def __enter__(self) -> None:
        self._whole = self._thread.submit(self._copy)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the copy, unless what was done meanwhile has failed. Raises StoreError."""
        if kind is not None:
            self._given_up.set()
        with self._thread:  # waits for the thread, so whoever gives up has to say so inside
            try:
                if kind is None:
                    self._whole.result()
            except BaseException:
                self._given_up.set()
                raise

    def _copy(self) -> None:
        with disk_errors("copy the image", self._target):
            for done in copying(self._source, self._target):
                self._done = done
                if self._given_up.is_set():
                    return


def base_labels(base: Path, workshop: Workshop) -> str:
    """The text of the image's `labels.json`: as the SIF holds it for `inspect`, else by looking inside."""
    for item in data_objects(base):
        if item.kind == GENERIC_JSON and item.name == _INSPECTED:
            try:
                return json.dumps(json.loads(read_object(base, item))["data"]["attributes"]["labels"])
            except (ValueError, KeyError, TypeError, RecursionError):
                break
    return workshop.call("exec", "--containall", str(base), "cat", f"/{LABELS}").stdout


def describe(generation: Generation, workshop: Workshop) -> None:
    """Write down in the image's header, for `layers_of`, what was put on what. Raises StoreError."""
    layers = (*layers_of(Path(generation.base_path)), layer_of(generation))
    file = workshop.scratch / FILE_NAME
    file.write_text(description(layers))
    _add_json(generation, file, workshop)


def check_mounted(generation: Generation, workshop: Workshop) -> None:
    """Start the image plainly, with no bind and no variable: is its `python` the environment's?

    A runtime that falls back from overlayfs leaves appended partitions out without a word (SingularityCE,
    `internal/pkg/runtime/engine/singularity/container_linux.go`). Raises StoreError.
    """
    expected = f"{generation.mount}/bin/python"
    asked = workshop.call("exec", str(generation.carrier), "/bin/sh", "-c", "command -v python")
    if asked.stdout.strip() == expected:
        return
    if generation.builder == "append":
        raise StoreError(
            f"the runtime here ({workshop.runtime.program}) does not show what was appended to the image",
            *(asked.stderr.strip().splitlines()[-3:] or (f"there is no {expected} in it",)),
            hint="have the image packed anew: lumienv sync --mode sif --builder cotainr\n"
            'or in lumienv.toml: [sif] builder = "cotainr"; the old environment still works',
        )
    raise StoreError(
        f"the image that was made from {generation.base_name} does not start as it should",
        *(asked.stderr.strip().splitlines()[-3:] or (f"its python is not {expected}",)),
        hint="the old environment still works; the other builder: lumienv sync --mode sif --builder append",
    )


def sif(workshop: Workshop, generation: Generation, *words: str) -> None:
    """Change the staged image with the runtime's own `sif`. Raises StoreError."""
    done = workshop.call("sif", *words)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip() and "sage" not in line]
        store = shlex.quote(str(generation.path.parent))
        raise StoreError(
            f"the environment could not be put into the image: {Path(workshop.runtime.program).name} sif "
            f"{words[0]} failed",
            *said[:3],
            hint=f"see what room is left: df -h {store}; the old environment still works\n"
            "the other builder may do: lumienv sync --mode sif --builder "
            + ("cotainr" if generation.builder == "append" else "append"),
        )


def _renew_inspection(generation: Generation, labels: Mapping[str, str], workshop: Workshop) -> None:
    """Let `singularity inspect` show the labels: it reads a copy of them that the base's build has left."""
    for item in data_objects(generation.carrier):
        if item.kind != GENERIC_JSON or item.name != _INSPECTED:
            continue
        sif(workshop, generation, "del", str(item.number), str(generation.carrier))
        try:
            known = json.loads(read_object(Path(generation.base_path), item))
            known["data"]["attributes"]["labels"] = dict(labels)
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # without the copy, inspect looks inside
        file = workshop.scratch / _INSPECTED
        file.write_text(json.dumps(known))
        _add_json(generation, file, workshop)


def _add_json(generation: Generation, file: Path, workshop: Workshop) -> None:
    options = ("--datatype", "6", "--filename", file.name, "--groupid", "1")
    sif(workshop, generation, "add", *options, str(generation.carrier), str(file))


def copying(source: Path, target: Path, most: int | None = None) -> Iterator[int]:
    """Copy a file, `most` bytes of it; yields the bytes that are done.

    Shares its blocks where the file system can, and then yields nothing. Raises OSError.
    """
    with source.open("rb") as reading, target.open("xb") as writing:
        size = os.fstat(reading.fileno()).st_size
        size = size if most is None else min(size, most)
        try:
            fcntl.ioctl(writing, _FICLONE, reading.fileno())
        except OSError:
            done = 0
            while done < size:
                sent = os.sendfile(writing.fileno(), reading.fileno(), done, min(_CHUNK, size - done))
                if sent == 0:
                    break
                done += sent
                yield done
    target.chmod(0o755 & ~current_umask())
