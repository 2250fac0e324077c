"""Paths for what `lumienv run` goes through: `pathlib` takes half as long to import as Python to start.

`Path` here is a path's text with the few things that are asked on that way. All else it has `pathlib` do, so
it can be handed to any room; what those make of it are `pathlib`'s own. Type checkers see that one only, and
nothing may ask whether a path is an instance of it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pathlib
    from typing import IO, Any


class _Whole(type(os.PathLike)):  # type: ignore[misc]
    """What is asked of the class and not here (`Path.home`) is `pathlib`'s."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        import pathlib

        return getattr(pathlib.Path, name)


class _Path(os.PathLike[str], metaclass=_Whole):
    """A path of this system. Equal to, and hashed as, the one of `pathlib`."""

    def __init__(self, *parts: str | os.PathLike[str]) -> None:
        text = os.path.join(*parts) if parts else ""
        steps = [step for step in os.fspath(text).split("/") if step not in ("", ".")]
        self._text = ("/" if os.fspath(text).startswith("/") else "") + "/".join(steps) or "."

    @classmethod
    def cwd(cls) -> _Path:
        return cls(os.getcwd())

    @classmethod
    def home(cls) -> _Path:
        return cls(os.path.expanduser("~"))

    def __fspath__(self) -> str:
        return self._text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Path({self._text!r})"

    def __truediv__(self, other: str | os.PathLike[str]) -> _Path:
        return _Path(self._text, other)

    @property
    def name(self) -> str:
        return os.path.basename(self._text) if self._text != "." else ""

    @property
    def parent(self) -> _Path:
        return _Path(os.path.dirname(self._text))

    @property
    def parents(self) -> list[_Path]:
        found = [self.parent] if self._text not in ("/", ".") else []
        while found and str(found[-1]) not in ("/", "."):
            found.append(found[-1].parent)
        return found

    def expanduser(self) -> _Path:
        return _Path(os.path.expanduser(self._text))

    def absolute(self) -> _Path:
        return _Path(os.getcwd(), self._text)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(self._text, follow_symlinks=follow_symlinks)

    def samefile(self, other: str | os.PathLike[str]) -> bool:
        return os.path.samefile(self._text, other)

    def exists(self) -> bool:
        return os.path.exists(self._text)

    def is_dir(self) -> bool:
        return os.path.isdir(self._text)

    def is_file(self) -> bool:
        return os.path.isfile(self._text)

    def is_symlink(self) -> bool:
        return os.path.islink(self._text)

    def open(self, mode: str = "r", *given: Any, **named: Any) -> IO[Any]:
        return open(self._text, mode, *given, **named)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with self.open(encoding=encoding, errors=errors) as file:
            return str(file.read())

    def _whole(self) -> pathlib.Path:
        import pathlib

        return pathlib.Path(self._text)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole(), name)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, _Path) else bool(self._whole() == other)

    def __hash__(self) -> int:
        return hash(self._whole())

    def __lt__(self, other: pathlib.Path) -> bool:
        return self._whole() < type(self._whole())(other)


if TYPE_CHECKING:
    from pathlib import Path as Path
else:
    Path = _Path
