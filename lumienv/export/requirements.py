"""requirements.txt, as pip and uv read it (pip documentation, "Requirements File Format")."""

from collections.abc import Iterator

from packaging.pylock import Package

from lumienv.errors import LockError
from lumienv.export import FIRST_WORDS
from lumienv.export.selection import Selection, is_folder_or_git
from lumienv.lockdigest import LOCK_NAME


def requirements(selection: Selection, *, hashes: bool) -> str:
    """The text of a requirements.txt. Raises LockError for what cannot have a hash."""
    lines = [*comments(selection, "pip install --no-deps -r requirements.txt")]
    if any(line.startswith(("./", "-e ./")) for line in requirement_lines(selection, hashes=False)):
        lines.append("# Paths start at the folder of lumienv.toml: install from there.")
    return "\n".join([*lines, *requirement_lines(selection, hashes=hashes)]) + "\n"


def comments(selection: Selection, use: str) -> Iterator[str]:
    """What every exported file begins with; `use` is how it is meant to be used."""
    yield f"{FIRST_WORDS}{LOCK_NAME}: Python {selection.python}, on top of {selection.image}."
    if selection.provided:
        yield "# These packages of the image it rests on, and they are not in the list:"
        yield from (f"#   {name}=={version}" for name, version in selection.provided)
    yield f"# {use}"


def requirement_lines(selection: Selection, *, hashes: bool) -> list[str]:
    """A line a package (with hashes, two). Raises LockError for what cannot have a hash."""
    if hashes:
        check_hashes(selection)
    return [
        requirement + (f" \\\n    --hash=sha256:{digest}" if hashes else "")
        for requirement, digest in (_requirement(package) for package in selection.packages)
    ]


def check_hashes(selection: Selection) -> None:
    """Raises LockError where pip would refuse the whole file: it wants a hash of all or of none."""
    without = [package for package in selection.packages if is_folder_or_git(package)]
    if without:
        what = "is a folder" if without[0].directory is not None else "comes from git"
        raise LockError(
            f"{without[0].name} {what}, which has no hash, and pip takes hashes for all packages or for none",
            *(f"and so does {package.name}" for package in without[1:]),
            hint="export without them: lumienv export --no-hashes",
        )


def _requirement(package: Package) -> tuple[str, str]:
    """How pip names it, and the sha256 of its file, in hex; empty where it is none."""
    if package.vcs is not None:
        where = package.vcs.url or package.vcs.path or ""
        inside = f"#subdirectory={package.vcs.subdirectory}" if package.vcs.subdirectory else ""
        return f"{package.name} @ git+{where}@{package.vcs.commit_id}{inside}", ""
    if package.directory is not None:
        editable = "-e " if package.directory.editable else ""
        inside = f"/{package.directory.subdirectory}" if package.directory.subdirectory else ""
        return editable + _path(package.directory.path) + inside, ""
    if package.archive is not None:
        archive = package.archive
        inside = f"#subdirectory={archive.subdirectory}" if archive.subdirectory else ""
        where = f"{package.name} @ {archive.url}" if archive.url else _path(archive.path or "")
        return where + inside, archive.hashes["sha256"]
    file = package.wheels[0] if package.wheels else package.sdist
    assert file is not None
    if file.path is not None:
        return _path(file.path), file.hashes["sha256"]
    return f"{package.name}=={package.version}", file.hashes["sha256"]


def _path(path: str) -> str:
    """A path that pip takes for one, and not for a name."""
    return path if path.startswith(("/", "./", "../", "~")) else f"./{path}"
