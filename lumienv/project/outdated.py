"""Which locked packages have a newer release that runs on the image, as the indexes have it now."""

from collections.abc import Collection, Mapping

from packaging.version import Version

from lumienv.index.pages import File
from lumienv.project import index_client
from lumienv.project.look import Look
from lumienv.resolve.candidates import Platform, Releases
from lumienv.resolve.policy import policy_of
from lumienv.resolve.requirements import Environment


def newer_releases(look: Look, names: Collection[str] | None = None) -> Mapping[str, str]:
    """name → the newest release that fits the image's Python and platform, where it is not the locked one.

    Asked is about the `names` that come from an index, by default about all. Whether the other packages allow
    that release is for `lock --upgrade` to find out. Withdrawn releases do not count, and prereleases only
    where they may be taken. Raises LockError, ImageError, PackageIndexError.
    """
    lock, snapshot, project = look.locked(), look.probed(), look.project
    policy = policy_of(project.manifest, Environment(snapshot.markers), {})
    platform = Platform.of(snapshot.python.version, snapshot.tags)
    direct = lock.origins().keys()
    wanted = {
        name: version
        for name, version in lock.versions().items()
        if name not in direct and (names is None or name in names)
    }
    found: dict[str, str] = {}
    with index_client(project, refresh=not project.offline) as client:
        pages = {name: client.page(name) for name in wanted}
        for name, page in pages.items():
            answer = page.result()
            if answer is None:
                continue
            releases = Releases(answer, platform, policy.exclude_newer, policy.build)
            allowed = policy.prerelease == "allow" or name in policy.prereleases
            newest = _newest(releases, allowed or wanted[name].is_prerelease)
            if newest is not None and newest > wanted[name]:
                found[str(name)] = str(newest)
    return found


def _newest(releases: Releases, prereleases: bool) -> Version | None:
    for version in releases.versions:
        if version.is_prerelease and not prereleases:
            continue
        if isinstance(releases.best(version), File) and releases.usable(version):
            return version
    return None
