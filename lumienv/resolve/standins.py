"""Image packages that stand for others, as they own the same module.

`triton` must not be installed on an image with `pytorch-triton-rocm`: it would hide the module that the
image's torch was built with. So a requirement on one member of such a group (`site/modules.toml`) is taken
as one on the member that the image has, unless the user says otherwise, by `replace` or `omit`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.manifest import Dependency
from lumienv.resolve import Pin
from lumienv.resolve.candidates import Candidate
from lumienv.resolve.requirements import Want, user_requirement
from lumienv.site.modules import ModuleGroup, module_groups


@dataclass(frozen=True)
class StandIn:
    """An image package that stands for a name."""

    name: str
    """of the image package, normalised"""
    group: ModuleGroup
    judged: bool
    """whether the versions of the two can be compared"""


def stand_ins(
    image: Collection[str], replaced: Collection[str], direct: Callable[[str], bool]
) -> dict[str, StandIn]:
    """Name → what of the image stands for it; all names normalised.

    `image` are the names that the image has and keeps, `replaced` those that the user lets the overlay bring;
    what has a `direct` source is installed too.
    """
    found: dict[str, StandIn] = {}
    for group in module_groups():
        present = sorted(group.members & set(image), key=lambda name: (name in group.own_versions, name))
        for name in group.members - set(present) - set(replaced) if present else ():
            if not direct(name):
                judged = not {name, present[0]} & group.own_versions
                found[name] = StandIn(present[0], group, judged)
    return found


def redirected(requirement: Requirement, stand_in: StandIn, *, judge: bool) -> Requirement:
    """The requirement as one on the image's package, with its range where that is to be judged."""
    changed = Requirement(stand_in.name)
    if judge and stand_in.judged:
        changed.specifier = requirement.specifier
    else:
        changed.specifier = SpecifierSet()
    return changed


def stood_for(chosen: Iterable[Candidate], wants: Iterable[Want]) -> tuple[tuple[str, str, str], ...]:
    """Of all `wants`: the name that was asked for, the image package that stands for it, and its version."""
    versions = {one.name: one.package.version for one in chosen if one.package is not None}
    pairs = {(want.stands_for, want.name) for want in wants if want.stands_for}
    return tuple((name, other, versions[other]) for name, other in sorted(pairs) if other in versions)


def remarks(
    stood: Iterable[tuple[str, str, str]], pins: Iterable[Pin], lines: Iterable[Dependency]
) -> Iterator[str]:
    """Warnings: an image package that has less in it, and two packages of the overlay with one module."""
    groups = module_groups()
    for name, other, version in stood:
        if any({name, other} <= group.members and name in group.more - {other} for group in groups):
            yield f"{name} has more in it than the image's {other} {version}, which stands for it"
    asking: dict[str, list[str]] = {}
    for entry in lines:
        asking.setdefault(canonicalize_name(user_requirement(entry).name), []).append(entry.where)
    installed: Mapping[str, Pin] = {pin.name: pin for pin in pins}
    for pin in installed.values():
        for name in pin.dependencies:
            asking.setdefault(name, []).append(f"{pin.name} {pin.version}")
    for group in groups:
        together = sorted(group.members & installed.keys())
        if len(together) > 1:
            who = " and ".join(f"{name} (for {', '.join(asking.get(name, ()))})" for name in together)
            yield (
                f"{who} bring the same module {group.module}, so that one hides the other: "
                f'leave one out, for example [resolve] omit = ["{together[-1]}"]'
            )
