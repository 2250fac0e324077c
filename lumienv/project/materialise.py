"""From a lock to an environment in the store: fetch, build aside, carry, verify, publish."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lumienv.image.snapshot import Snapshot
from lumienv.index.wheelhouse import Wheelhouse, WheelRequest
from lumienv.launch.plan import surroundings_of
from lumienv.lockfile import Lock, LockedSource, LockedWheel
from lumienv.manifest import normal_name
from lumienv.overlay.carriers import carry, root_of, tree_in, write_lock_into
from lumienv.overlay.dist_info import Provenance, direct_url
from lumienv.overlay.generation import Generation
from lumienv.overlay.modules import check_modules
from lumienv.overlay.records import write_records
from lumienv.overlay.room import check_room
from lumienv.overlay.squashfs import find_program
from lumienv.overlay.tree import build_tree
from lumienv.overlay.verify import Expectation, verify_tree
from lumienv.project import Project, Report, index_client, source_builder
from lumienv.project.cacheuse import using_cache
from lumienv.resolve.origin import Origin
from lumienv.runtime import Surroundings
from lumienv.site.scratch import scratch_directory


@dataclass(frozen=True)
class Wheels:
    """What is to be installed, and where it lies on this machine."""

    wheels: tuple[LockedWheel, ...]
    files: dict[str, Path]
    """sha256 → the wheel"""
    house: Path
    """the folder below which all of them lie"""
    direct_urls: dict[str, Mapping[str, Any]]
    """name → where it comes from, of what comes from no index"""


@dataclass(frozen=True)
class Made:
    """A published environment, and what there is to say of it."""

    generation: Generation
    image_scripts: tuple[str, ...] = ()
    """names of the image's scripts that it wraps"""
    remark: str = ""
    """on how the image was made, and how it could have been"""


def materialise(
    project: Project,
    report: Report,
    generation: Generation,
    snapshot: Snapshot,
    lock: Lock,
    chosen: Sequence[LockedWheel | LockedSource],
) -> Made:
    """Make the environment that `generation` describes, and publish it.

    Raises LumienvError's children; the store is then as it was.
    """
    with ExitStack() as in_use:
        in_use.enter_context(using_cache(project.site.cache, report.note))
        fetched = _fetch(project, report, snapshot, chosen)
        replaced = [canonicalize_name(name) for name in project.manifest.resolve.replace]
        check_modules(fetched.wheels, fetched.files, snapshot, replaced)
        requested = _requested(lock, generation.groups)
        expectation = Expectation(fetched.wheels, requested, lock.provided, replaced)
        runtime = project.runtime()
        if generation.mode == "squashfs" or generation.builder == "append":
            find_program("mksquashfs")  # before anything is built
        base_size = snapshot.image.size if generation.mode == "sif" else 0
        check_room(
            generation.mode,
            generation.builder,
            fetched.files.values(),
            base_size,
            project.store.generations,
            project.site.scratch,
        )
        with project.store.staging() as staged:
            # Given back before the environment is published, and the cache too: then no sync would look here.
            with scratch_directory(project.site.scratch) as scratch:
                built = generation.at(staged)
                root = root_of(built, scratch)
                tree = tree_in(built, root)
                tree.mkdir(parents=True, mode=0o755)
                work = scratch / "work"
                work.mkdir()
                with report.waiting(f"installing on top of {generation.base_name}"):
                    scripts = build_tree(
                        tree,
                        generation.mount,
                        snapshot,
                        fetched.wheels,
                        fetched.files,
                        fetched.house,
                        Provenance(requested, fetched.direct_urls),
                        runtime,
                        work,
                        project.site.processors,
                    )
                    write_lock_into(tree, project.lock_path)
                    noted = write_records(
                        built, tree, fetched.wheels, lock.provided, snapshot.frozen_digest(), replaced
                    )
                carried = carry(built, root, snapshot, runtime, scratch, project.site.processors, report)
                # An image has to be right by itself: started with nothing of what a launch brings along.
                around = surroundings_of(built) if generation.mode != "sif" else Surroundings()
                with report.waiting("looking whether it is what was locked"):
                    warnings = verify_tree(built, snapshot, expectation, runtime, around)
            in_use.close()
            whole = replace(
                generation, records=noted, carrier_identity=carried.identity, warnings=tuple(warnings)
            )
            published = project.store.publish(staged, whole)
    return Made(published, tuple(scripts), carried.remark)


def _fetch(
    project: Project, report: Report, snapshot: Snapshot, chosen: Sequence[LockedWheel | LockedSource]
) -> Wheels:
    """Have every wheel on this machine, those of sources built."""
    wheels = [one for one in chosen if isinstance(one, LockedWheel)]
    requests = [WheelRequest(wheel.filename, wheel.url, wheel.sha256, wheel.size) for wheel in wheels]
    with index_client(project) as client:
        wheelhouse = Wheelhouse(project.site.cache / "wheels", client)
        missing = {
            request.filename: request.size
            for request in requests
            if not wheelhouse.path(request.sha256, request.filename).exists()
        }
        with report.downloads(missing) as progress:
            files = wheelhouse.fetch(requests, progress)
        by_hash = {wheel.sha256: files[wheel.filename] for wheel in wheels}
        builder = source_builder(project, snapshot, client, report)
        direct_urls = {}
        for source in chosen:
            if isinstance(source, LockedSource):
                if isinstance(source.what, Origin):
                    folder = project.manifest.directory
                    direct_urls[source.name] = direct_url(source.what, folder, source.name)
                made = builder.wheel(source.name, source.what)
                by_hash[made.sha256] = made.path
                wheels.append(LockedWheel(made.name, made.version, made.filename, "", made.sha256, made.size))
    return Wheels(tuple(wheels), by_hash, wheelhouse.root, direct_urls)


def _requested(lock: Lock, groups: Sequence[str]) -> frozenset[str]:
    """The names that the user asked for: by the lock, as lumienv.toml may have changed since (`--frozen`)."""
    wanted = {normal_name(group) for group in groups}
    names = set()
    for table, lines in lock.declared.items():
        heading, _, group = table.partition(" ")
        if table == "dependencies" or (heading == "[dependency-groups]" and normal_name(group) in wanted):
            for line in lines:
                with suppress(InvalidRequirement):
                    names.add(canonicalize_name(Requirement(line).name))
    return frozenset(names)
