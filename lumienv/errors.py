"""What lumienv says when it cannot do what it was asked.

Every failure that a user can cause is one of these: a first line that says what could not be done, in the
names the user used; facts, each with where it comes from; and a hint that can be acted upon. Anything else
that is raised is a bug. This module is the bottom of the package: it imports nothing of it.
"""


class LumienvError(Exception):
    """A failure with a way out.

    `message` completes "error: "; `facts` are shown indented below it, `hint` last, after "help: ".
    """

    exit_code = 1

    def __init__(self, message: str, *facts: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message, *(f"  {fact}" for fact in self.facts)]
        if self.hint is not None:
            first, *rest = self.hint.splitlines() or [""]
            lines += [f"help: {first}", *(f"      {line}" for line in rest)]
        return "\n".join(lines)


class UsageError(LumienvError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ManifestError(LumienvError):
    """`lumienv.toml` is missing, broken, or says something that lumienv does not know."""


class ImageError(LumienvError):
    """The base image is missing, damaged, changed, or has no usable Python."""


class ContainerError(LumienvError):
    """The container runtime is missing, or a program in the container failed."""


class PackageIndexError(LumienvError):
    """A package index cannot be reached, refuses, or serves something that is not what was promised."""


class BrokenReleaseError(PackageIndexError):
    """One release cannot be used: its file is gone, damaged, or not what it says. Another one may do."""


class ResolutionError(LumienvError):
    """No set of packages satisfies the requirements on top of the image."""


class SearchGivenUpError(ResolutionError):
    """The search was longer than anybody waits for: whether there is a solution is not known."""


class LockError(LumienvError):
    """The lock file is missing, damaged, or no longer belongs to the manifest or to the image."""


class StoreError(LumienvError):
    """A generation is missing, not trusted, or cannot be written."""


class InterruptedByUserError(LumienvError):
    """Ctrl-C: what was begun is given up, what was there before is untouched."""

    exit_code = 130
