"""How a proposal is written, so that it can be typed, and the change that it stands for."""

import re
from collections.abc import Iterable
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lumienv.manifest import Dependency
from lumienv.resolve.candidates import as_version
from lumienv.resolve.policy import Policy, Rule
from lumienv.resolve.requirements import user_requirement, with_range
from lumienv.toml import in_toml


def name_of(entry: Dependency) -> str:
    """The normalised name on one of the user's lines."""
    return str(canonicalize_name(user_requirement(entry).name))


def ranged(entry: Dependency, text: str) -> Requirement:
    """The user's line with another range."""
    return with_range(user_requirement(entry), SpecifierSet(text))


def renamed(entry: Dependency, name: str, specifier: SpecifierSet) -> Requirement:
    """The user's line with another name."""
    changed = with_range(user_requirement(entry), specifier)
    changed.name = name
    return changed


def nearest_release(version: str) -> str | None:
    """The release that a development build (`2.8.0a0+git1234`) or an odd version (`2.8.0-custom`) is near."""
    parsed = as_version(version)
    if parsed is not None:
        return parsed.base_version if parsed.is_prerelease else None
    found = re.match(r"\d+(\.\d+)*", version)
    return found[0] if found else None


def array(names: Iterable[str]) -> str:
    """Names as a TOML array, sorted."""
    return "[" + ", ".join(f'"{name}"' for name in sorted(names)) + "]"


def quoted(entries: Iterable[Dependency], word: str) -> str:
    """The user's lines, each with where it stands: `"accel>=2" (lumienv.toml:3) and …`."""
    return f" {word} ".join(f"{in_toml(entry.text)} ({entry.where})" for entry in entries)


def with_constraint(policy: Policy, name: str, text: str) -> Policy:
    """The policy with one more constraint: `text` is a range."""
    rule = policy.constraints.get(name, Rule(SpecifierSet(), ()))
    rules = {**policy.constraints, name: Rule(rule.specifier & SpecifierSet(text), rule.entries)}
    return replace(policy, constraints=rules)


def constraint_line(policy: Policy, name: str, text: str) -> str:
    """How to write one more constraint beside those that there are."""
    if policy.constraints:
        return f'add "{name}{text}" to [resolve] constraints'
    return f'[resolve] constraints = ["{name}{text}"]'


def image_with(package: str) -> str:
    """That another image should be chosen, by what it has of a package: `image list` does not show that."""
    return f"choose an image with {package}: `lumienv image suggest --probe` tells whether there is one"
