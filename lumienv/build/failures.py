"""Why a build failed, out of all that a backend says: the lines that tell, and what could be done."""

import re
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lumienv.errors import BrokenReleaseError, LumienvError, StoreError
from lumienv.image.snapshot import Snapshot
from lumienv.manifest import Dependency
from lumienv.resolve.proposals import quoted
from lumienv.resolve.requirements import Environment

_LINES = 6
_TELLING = re.compile(
    r"error|fatal|not found|no such file|no module named|cannot|unable|denied", re.IGNORECASE
)
_FRAME = re.compile(r'\s*(File ".*", line \d+|Traceback \(most recent call last\)|\^+$|~+\^)')
# What setuptools tells of its steps; warnings are not why it failed.
_PROGRESS = re.compile(
    r"(?:running|writing|adding|creating|copying|reading|removing|byte-compiling|warning:) |.*Warning: |\*+$"
)
_NO_COMPILER = re.compile(
    r"(?:[\w.+-]*(?:gcc|g\+\+|cc|c\+\+|clang|gfortran|hipcc|nvcc)[\w.+-]*'? ?(?:failed)?: "
    r"(?:No such file|command not found|not found)|CMAKE_\w+_COMPILER|no acceptable C compiler|"
    r"Unknown compiler|CUDA_HOME|ROCM_HOME)",
    re.IGNORECASE,
)
# What Python says where an interface has gone: the end of a traceback, not a compiler's word.
_AGED = re.compile(
    r"[\w.]*(?:AttributeError|TypeError|ImportError|InvalidConfigError|InvalidVersion|SetupError): |"
    r"ModuleNotFoundError: No module named '(?:setuptools|pkg_resources|distutils|imp|wheel|Cython|numpy)\b|"
    r"error in .* setup command|error: invalid command"
)
_MISSING_MODULE = re.compile(r"No module named '([\w.]+)'")
_MISSING_PROGRAM = re.compile(r"No such file or directory: '([\w+-]+)'")
_MISSING_HEADER = re.compile(r"fatal error: ([\w./+-]+): No such file")


class BuildFailedError(BrokenReleaseError):
    """A backend ran and failed."""

    aged = False
    """whether it looks as if the sources were older than the tools that were to build them"""


def build_failed(
    label: str, what: str, failed: str, said: str, snapshot: Snapshot, lines: Sequence[Dependency] = ()
) -> LumienvError:
    """The failure of one build: `failed` is what our own side noticed, `said` all that was printed.

    `lines` are the user's, dependencies and constraints: one of them may leave no older release to take.
    A BuildFailedError, or StoreError for a full disk: no other release is better than that.
    """
    if "No space left" in said or "Disk quota exceeded" in said:
        return StoreError(
            f"{label} cannot be built: the disk is full",
            *telling_lines(said)[-2:],
            hint="free some space, or set TMPDIR to a place with more of it",
        )
    doing = "its metadata cannot be prepared" if what == "metadata" else "it cannot be built"
    sources = "offers only its sources" if _is_release(label) else "comes from its sources"
    facts = telling_lines(said)
    error = BuildFailedError(
        f"{label} {sources}, and {doing} in {snapshot.image.name}",
        *([failed] if failed else []),
        *facts,
        hint=_hint(label, "\n".join(facts), lines, Environment(snapshot.markers)),
    )
    error.aged = bool(facts) and _AGED.match(facts[-1]) is not None
    return error


def telling_lines(said: str) -> list[str]:
    """The last lines that mean something: those that speak of errors, else the last ones."""
    lines = []
    frame = False
    warning = False
    for line in said.splitlines():
        if line.strip() == "!!":  # setuptools puts its warnings between two of these
            warning = not warning
            frame = not warning  # the line behind quotes the code
        elif warning:
            continue
        elif _FRAME.match(line):
            frame = True  # the next line quotes the code
        elif frame and line.startswith("  "):
            frame = False
        elif line.strip():
            frame = False
            lines.append(line.strip()[:300])
    near = [line for line in lines if not _PROGRESS.match(line)][-30:]
    telling = [line for line in near if _TELLING.search(line)]
    # The last line is mostly the exception itself, whatever it is called.
    chosen = telling[-_LINES:] if telling else near[-_LINES:]
    if near and near[-1] not in chosen:
        chosen = [*chosen[-_LINES + 1 :], near[-1]]
    return list(dict.fromkeys(chosen))


def _is_release(label: str) -> bool:
    """Whether it names a release of an index (`flash-attn 2.8.0`), not a folder or repository."""
    return label.partition(" ")[2][:1].isdigit()


def _holding(
    name: str, version: str, lines: Sequence[Dependency], environment: Environment
) -> Dependency | None:
    """The first of the user's lines on a name that allows no release older than this one."""
    for line in lines:
        try:
            requirement = Requirement(line.text)
            counts = canonicalize_name(requirement.name) == name and environment.holds(requirement.marker)
        except InvalidRequirement:
            continue
        if counts and any(
            one.operator in ("==", ">=", "~=") and Version(one.version.removesuffix(".*")) >= Version(version)
            for one in requirement.specifier
        ):
            return line
    return None


def _hint(label: str, said: str, lines: Sequence[Dependency], environment: Environment) -> str:
    name, _, version = label.partition(" ")
    ways = f"mend its build, or take a release of {name} from an index"
    held = _holding(name, version, lines, environment) if _is_release(label) else None
    if held is not None:
        ways = "another release may have a wheel, or build: name another version in\n"
        ways += quoted([held], "")
    elif _is_release(label):
        ways = f'an older release may have a wheel: [resolve] constraints = ["{name}<{version}"]\n'
        ways += 'to take wheels only, everywhere: [resolve] build = "never"'
    header = _MISSING_HEADER.search(said)
    if header:
        return f"the image has no {header[1]}: choose an image with that library's headers, or\n{ways}"
    if _NO_COMPILER.search(said):
        return f"the image lacks a compiler that it needs: choose an image that has it, or\n{ways}"
    module = _MISSING_MODULE.search(said)
    if module:
        missing = module[1].partition(".")[0]
        says = f"its build imports {module[1]}, which it asks for nowhere"
        return f"{says}: an image with {missing} may do;\n{ways}"
    program = _MISSING_PROGRAM.search(said)
    if program:
        return f"the image has no program {program[1]}: choose an image that has it, or\n{ways}"
    return ways


def not_allowed(label: str) -> BrokenReleaseError:
    """`[resolve] build = "never"`."""
    return BrokenReleaseError(
        f'{label} would have to be built, and [resolve] build is "never"',
        hint='choose a version that has a wheel, or allow builds: [resolve] build = "allow"',
    )


def not_tried(label: str, count: int) -> BrokenReleaseError:
    """A release whose neighbours failed."""
    name = label.partition(" ")[0]
    return BrokenReleaseError(
        f"{label} was not tried, as {count} other releases of {name} could not be built here",
        hint=f'to have this one tried, name it: "{label.replace(" ", "==")}"',
    )


def not_read(filename: str, name: str, count: int) -> BrokenReleaseError:
    """A release that a search came to only after many others of the same name."""
    return BrokenReleaseError(
        f"{filename} was not looked into, as the sources of {count} other releases of {name} were",
        hint=f'say which releases may do: [resolve] constraints = ["{name}<…"]',
    )


def not_at_hand(label: str, image: str) -> BrokenReleaseError:
    """A lock without its image."""
    return BrokenReleaseError(
        f"{label} does not say what it needs before it is built, and {image} is not here to build it in",
        hint="lock where the image is, which can build it",
    )


def not_as_promised(label: str, why: str) -> BrokenReleaseError:
    """Sources that are something else than they are called."""
    return BrokenReleaseError(
        f"the sources of {label} are not what they should be: {why}",
        hint="choose another version, and tell those who made it",
    )


def cycle(building: tuple[str, ...], label: str) -> BrokenReleaseError:
    """Something that is needed to build itself."""
    chain = " → ".join((*building[building.index(label) :], label))
    return BrokenReleaseError(
        f"{label} cannot be built: its build needs {label} itself",
        chain,
        hint=f"a release with a wheel breaks the circle: constrain {label.partition(' ')[0]} to one",
    )
