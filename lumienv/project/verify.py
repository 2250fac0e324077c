"""Hold an environment against its records, its image and the lock; what is damaged is not run again."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lumienv.errors import ImageError, StoreError
from lumienv.image.base import host_base, sif_base
from lumienv.image.probing import cached_snapshot, take_snapshot
from lumienv.image.snapshot import Base, Snapshot
from lumienv.launch.plan import runtime_of, surroundings_of
from lumienv.launch.run import chosen_generation
from lumienv.lockdigest import LOCK_NAME, bytes_digest
from lumienv.overlay.damage import Damage, Findings, carrier_damage, look_again
from lumienv.overlay.generation import Generation, current_generation, distrust
from lumienv.overlay.records import FILE_NAME, Records, read_records
from lumienv.project import Project
from lumienv.resolve.check import missing_from_image
from lumienv.runtime import Surroundings


@dataclass(frozen=True)
class Verification:
    """What holding an environment against its records has shown."""

    generation: Generation
    findings: Findings
    stale: str = ""
    """why it is not what the lock asks for now; empty when it is"""

    @property
    def sound(self) -> bool:
        """Whether the environment is what was locked, on the image that was locked. Imports do not count."""
        return not (self.findings.damage or self.findings.image or self.stale)


def verify(project: Project, *, mode: str | None = None, imports: bool = False) -> Verification:
    """Look at the current environment, or that of `mode`, as a command would find it.

    `imports`: import every module of every package of the overlay, too. A damaged environment is marked: it
    is not run again, and the next sync makes it anew. Raises StoreError when there is none, and
    LumienvError's children when it cannot be looked at.
    """
    generation = _generation(project, mode)
    findings = _findings(project, generation, imports)
    if findings.damage:
        distrust(generation)
    return Verification(generation, findings, _staleness(project, generation))


def _generation(project: Project, mode: str | None) -> Generation:
    """The current generation if it has this mode, else the newest that has. Raises StoreError."""
    store = project.store
    if mode is None:
        return current_generation(store.root)
    with suppress(StoreError):
        current = current_generation(store.root)
        if current.mode == mode:
            return current
    return chosen_generation(project.manifest, mode, project.environ, fitting=False)


def _findings(project: Project, generation: Generation, imports: bool) -> Findings:
    if not generation.records:
        raise StoreError(
            f"the environment in {generation.path} was made by an older lumienv, which kept no records",
            hint="make it anew: lumienv sync",
        )
    broken = carrier_damage(generation)
    if broken is not None:
        return Findings(damage=(broken,))
    try:
        records = read_records(generation)
    except StoreError as error:
        return Findings(damage=(Damage(str(generation.path / FILE_NAME), "carrier", reason=error.message),))
    try:
        snapshot = _snapshot(project, generation)
    except ImageError as error:
        return Findings(image=(error.message,))
    found = look_again(
        generation,
        records,
        snapshot,
        runtime_of(generation, project.environ),
        # An image has to be right by itself.
        surroundings_of(generation) if generation.mode != "sif" else Surroundings(),
        imports=imports,
        processors=project.site.processors,
    )
    return replace(found, image=(*_changes(generation, records, snapshot), *found.image))


def _snapshot(project: Project, generation: Generation) -> Snapshot:
    """What the base provides, asked anew; of one that an image needs no longer, what is known of it.

    Raises ImageError.
    """
    path = generation.base_path
    activate = str(generation.selection.get("activate") or "auto")
    recorded = "auto" if activate == "live" else activate
    if generation.mode == "sif" and not Path(path).exists():
        gone = Base("sif", path, generation.base_name, generation.identity, fingerprint=generation.identity)
        known = cached_snapshot(gone, project.site.cache, recorded)
        if known is not None:
            return known
    base: Base = host_base(path) if generation.base_kind == "host" else sif_base(Path(path))
    return take_snapshot(base, recorded, runtime_of(generation, project.environ), cache=None)


def _changes(generation: Generation, records: Records, snapshot: Snapshot) -> list[str]:
    """What has become of the image since the environment was made for it."""
    changes = [f"the lock rests on {text}" for text in missing_from_image(records.provided, snapshot)]
    if snapshot.image.identity != generation.identity:
        changes.insert(0, f"{generation.base_name} has changed since the environment was made for it")
    elif snapshot.frozen_digest() != records.frozen:
        changes.insert(0, f"{generation.base_name} has other packages than when the environment was made")
    return changes


def _staleness(project: Project, generation: Generation) -> str:
    """Whether the lock is still the one that the environment was made from."""
    try:
        same = bytes_digest(project.lock_path.read_bytes()) == generation.lock
    except FileNotFoundError:
        return f"{LOCK_NAME} is gone"
    except OSError as error:
        return f"{LOCK_NAME} cannot be read: {error.strerror}"
    return "" if same else f"{LOCK_NAME} has changed since it was synced"
