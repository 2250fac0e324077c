"""What pip and uv are configured with: their files and variables, read as they read them.

pip: documentation, "Configuration", "Location" and "Precedence". uv: documentation, "Configuration files";
its project files are left out, as lumienv.toml stands in their place.
"""

import configparser
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from lumienv.errors import PackageIndexError
from lumienv.files import user_path
from lumienv.toml import parse_toml

SYSTEM_FILE = Path("/etc/pip.conf")


class PipConfiguration:
    """What `pip install` would take from its configuration files and `PIP_…` variables."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def get(self, option: str) -> str | None:
        """The value of a long option (`index-url`), or None; empty values count as unset, as in pip.

        Raises PackageIndexError for a configuration file that cannot be parsed.
        """
        variable = self._environ.get("PIP_" + option.upper().replace("-", "_"))
        return variable or self._values.get(option)

    def files(self) -> list[Path]:
        """pip's configuration files on Linux, the later ones winning; they need not exist."""
        environ = self._environ
        named = environ.get("PIP_CONFIG_FILE")
        if named == os.devnull:
            return []
        home = Path(environ.get("HOME") or Path.home())
        shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        prefix = Path(environ.get("VIRTUAL_ENV") or sys.prefix)
        found = [Path(directory, "pip", "pip.conf") for directory in shared.split(":") if directory]
        found += [SYSTEM_FILE, home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
        found += [prefix / "pip.conf"]
        if named:
            found.append(user_path(named))
        return found

    @cached_property
    def _values(self) -> dict[str, str]:
        # [install] beats [global] whichever file it stands in; within a section the later file wins.
        sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
        for path in self.files():
            parser = configparser.RawConfigParser()
            try:
                parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            except (configparser.Error, UnicodeDecodeError) as error:
                # The parser's own message may quote a line with a password, so it is not passed on.
                raise PackageIndexError(
                    f"cannot read pip's configuration {path}",
                    hint="`pip config debug` shows what is wrong; PIP_CONFIG_FILE=/dev/null leaves it out",
                ) from error.with_traceback(None)
            for section, values in sections.items():
                if parser.has_section(section):
                    for key, value in parser.items(section):
                        if value:
                            values[key.lower().replace("_", "-").removeprefix("--")] = value
        return {**sections["global"], **sections["install"]}


class UvConfiguration:
    """What uv would take from the configuration files of the user and of the system."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def get(self, option: str) -> str | None:
        """The text of a top-level key (`keyring-provider`), or None; a broken file says nothing here."""
        return self._values.get(option)

    def files(self) -> list[Path]:
        """The files that may count, the first winning; they need not exist."""
        environ = self._environ
        if environ.get("UV_NO_CONFIG"):
            return []
        if environ.get("UV_CONFIG_FILE"):
            return [Path(environ["UV_CONFIG_FILE"])]
        home = Path(environ.get("HOME") or Path.home())
        own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        folders = [own, *(Path(folder) for folder in shared if folder), Path("/etc")]
        return [folder / "uv" / "uv.toml" for folder in folders]

    @cached_property
    def _values(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in reversed(self.files()):
            try:
                data = parse_toml(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # uv itself says what is wrong with it
                continue
            found |= {key: value for key, value in data.items() if isinstance(value, str)}
        return found


def http_timeout(default: float) -> float:
    """Seconds to wait for an answer: LUMIENV_HTTP_TIMEOUT, else `default`.

    Raises PackageIndexError for something that is no number.
    """
    value = os.environ.get("LUMIENV_HTTP_TIMEOUT")
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise PackageIndexError(
            f"LUMIENV_HTTP_TIMEOUT is {value!s}, which is no number of seconds",
            hint="LUMIENV_HTTP_TIMEOUT=60",
        )
    return seconds
