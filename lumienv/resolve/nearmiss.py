"""What a name that cannot be had may have been meant to be.

A near miss is proposed with where it comes from, the best known first: what the image provides, what the
user's other lines name, what an import name is known to stand for, and last of all what an index happens to
have. For the last a name that exists is no proof: names one letter away from a well-known one are a known way
to slip in something hostile. So only projects with a history are proposed, and their releases are counted.
"""

import difflib
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from lumienv.errors import PackageIndexError
from lumienv.index.pages import Page
from lumienv.resolve.provider import Provider
from lumienv.site.modules import import_names

_CLOSE = 0.75  # difflib's measure of likeness, for names that are known to exist
_MOST_PAGES = 30  # pages that are asked for to find a spelling that exists
_HISTORY = 3  # releases that a project must have to be proposed for its likeness alone
_MOST_OF_INDEX = 2


@dataclass(frozen=True)
class NearMiss:
    """A name to write instead, and how lumienv came upon it."""

    name: str
    why: str
    guess: bool = False
    """whether its likeness is all that speaks for it"""


def is_standard_library(written: str) -> bool:
    """Whether Python itself has a module of that name."""
    return written in sys.stdlib_module_names


def near_misses(written: str, provider: Provider, others: Collection[str]) -> Iterator[NearMiss]:
    """What `written` may mean, the likeliest first; `others` are the names on the user's other lines.

    The index is asked only when all before it was not taken.
    """
    name = str(canonicalize_name(written))
    yield from of_import(written, provider)
    known = [*provider.image, *others]
    for close in difflib.get_close_matches(name, sorted(set(known) - {name}), n=1, cutoff=_CLOSE):
        yield NearMiss(close, "the image provides it" if close in provider.image else "another line has it")
    yield from _of_index(name, provider)


def of_import(written: str, provider: Provider) -> Iterator[NearMiss]:
    """The distributions that bring a module called `written`: the image's, then the well-known ones."""
    name = str(canonicalize_name(written))
    for package in provider.image.values():
        own = str(canonicalize_name(package.name))
        if own != name and any(canonicalize_name(module) == name for module in package.modules):
            yield NearMiss(own, f"the image's {package.name} {package.version} has the module {written}")
    known = import_names().get(name, ())
    for other in sorted(known, key=lambda one: one not in provider.image):
        yield NearMiss(other, f"{written} is the name of its module")


def _of_index(name: str, provider: Provider) -> Iterator[NearMiss]:
    """Spellings that exist on the indexes, those with the most releases first."""
    seen = difflib.get_close_matches(name, sorted(provider.client.seen_projects() - {name}), n=3, cutoff=0.8)
    spellings = list(dict.fromkeys((*seen, *spelled_otherwise(name))))[:_MOST_PAGES]
    found = []
    for spelling, page in _pages(spellings, provider):
        releases = len({_version(filename) for filename in page.files.names})
        if releases >= _HISTORY:
            found.append((releases, spelling))
    for releases, spelling in sorted(found, key=lambda one: (-one[0], one[1]))[:_MOST_OF_INDEX]:
        yield NearMiss(spelling, f"the index has it, with {releases} releases; look at it first", guess=True)


def _pages(names: Iterable[str], provider: Provider) -> Iterator[tuple[str, Page]]:
    """The pages of those that exist, fetched in parallel."""
    for name, future in [(name, provider.client.page(name)) for name in names]:
        try:
            page = future.result()
        except PackageIndexError:
            continue  # offline, or an index that fails: then there is nothing to propose
        if page is not None:
            yield name, page


def _version(filename: str) -> str:
    """What tells the releases of one project apart in its file names."""
    if filename.endswith(".whl"):
        return filename.split("-")[1] if filename.count("-") > 1 else filename
    return filename.removesuffix(".tar.gz").removesuffix(".zip").rpartition("-")[2]


def spelled_otherwise(name: str) -> list[str]:
    """Spellings of a normalised name that people mix up; each once, the likeliest first."""
    bare = re.sub(r"^(python-|py-|py)|(-python|-py)$", "", name)
    found = [name.replace("-", ""), bare, f"python-{bare}", f"py{bare}", f"{bare}-python", f"{bare}-py"]
    found += [name[:-1] if name.endswith("s") else f"{name}s"]
    for at in range(len(name) - 1):
        found.append(name[:at] + name[at + 1] + name[at] + name[at + 2 :])  # swapped
    found += [name[:at] + name[at + 1 :] for at in range(len(name))]  # one too many
    found += [name[: at + 1] + name[at:] for at in range(len(name))]  # one of two missing
    usable = (one for one in found if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one) and len(one) > 1)
    return [one for one in dict.fromkeys(usable) if one != name]
