"""The form of site files and of `[preset.…]` tables: what may stand where, and what has to.

Only for files that people write themselves: those that come with lumienv are held to it by a test.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from lumienv.errors import ManifestError
from lumienv.site.presets import CONDITIONS, FILLED, KNOWN, is_condition, placeholders_of


class Fail(Protocol):
    """Says what is wrong with a key, or with the entry in which `value` stands."""

    def __call__(
        self, key: str, problem: str, *, value: str | None = None, hint: str | None = None
    ) -> NoReturn: ...


@dataclass(frozen=True)
class _Kind:
    """What a key takes."""

    name: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_TEXT = _Kind("text", lambda value: isinstance(value, str) and "\0" not in value)
_NUMBER = _Kind("a number above 0", _is_number)
_FLAG = _Kind("true or false", lambda value: isinstance(value, bool))
_TEXTS = _Kind(
    "a list of texts",
    lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)
_TEXT_OR_TEXTS = _Kind("text, or a list of texts", lambda value: _TEXT.fits(value) or _TEXTS.fits(value))
_VALUE = _Kind(
    "text or a number; false takes it back", lambda v: v is False or _TEXT.fits(v) or _is_number(v)
)
_OPTION = _Kind("text or a number; true for an option without a value", lambda v: isinstance(v, (str, int)))

_CIRCUMSTANCES = {
    "when": _TEXT_OR_TEXTS,
    "families": _TEXT_OR_TEXTS,
    "unless": _TEXT_OR_TEXTS,
    "source": _TEXT,
}
_SET = {"name": _TEXT, "value": _VALUE, **_CIRCUMSTANCES}
_SRUN = {"option": _TEXT, "value": _OPTION, **_CIRCUMSTANCES}
_PRESET: Mapping[str, Any] = {
    "about": _TEXT,
    "gpus": _FLAG,
    "one-task-a-node": _FLAG,
    "set": [_SET],
    "srun": [_SRUN],
    "source": _TEXT,
}
_SITE: Mapping[str, Any] = {
    "name": _TEXT,
    "detect": {"directory": _TEXT},
    "images": {"folders": _TEXTS, "source": _TEXT},
    "cache": {"folder": _TEXT, "source": _TEXT},
    "login": {"processors": _NUMBER, "source": _TEXT},
    "scratch": {"folder": _TEXT, "source": _TEXT},
    "slurm": {"whole-node-partitions": _TEXTS, "source": _TEXT},
    "limits": {"loop-devices": _NUMBER, "source": _TEXT},
    "bind": [
        {"path": _TEXT, "optional": _FLAG, "in-jobs": _FLAG, "families": _TEXT_OR_TEXTS, "source": _TEXT}
    ],
    "family": [{"name": _TEXT, "python": _TEXTS, "source": _TEXT}],
    "set": [_SET],
    "preset": {"*": _PRESET},
}
# Without these an entry says nothing.
_NEEDED = {
    "bind": ("path",),
    "family": ("name", "python"),
    "set": ("name", "value"),
    "srun": ("option", "value"),
}


def check_site(data: Mapping[str, Any], path: Path, text: str) -> None:
    """Raises ManifestError for what no site file has; the message names file, line and entry."""
    lines = text.splitlines()

    def fail(key: str, problem: str, *, value: str | None = None, hint: str | None = None) -> NoReturn:
        wanted = [word for word in (value, key.rpartition(".")[2]) if word]
        found = (n for word in wanted for n, line in enumerate(lines, 1) if word in line)
        number = next(found, None)
        where = f"{path}:{number}" if number else str(path)
        raise ManifestError(
            f"{where}: {key} {problem}", hint=hint or f"mend {path}, or take the entry out of it"
        )

    _check(data, _SITE, "", fail)


def check_presets(presets: Mapping[str, Any], fail: Fail) -> None:
    """Checks the `[preset.…]` tables of a project. Raises what `fail` raises."""
    _check(presets, {"*": _PRESET}, "preset", fail)


def _check(table: Mapping[str, Any], form: Mapping[str, Any], at: str, fail: Fail, entry: str = "") -> None:
    for key, value in table.items():
        full = f"{at}.{key}" if at else key
        wanted = form.get(key, form.get("*"))
        if wanted is None:
            close = _close(key, form)
            known = f"known here: {', '.join(form)}"
            fail(full, "is not a key that lumienv knows", hint=f"did you mean {close}?" if close else known)
        if isinstance(wanted, _Kind):
            if not wanted.fits(value):
                fail(full, f"takes {wanted.name}" + (f": {entry}" if entry else ""), value=entry)
        elif isinstance(wanted, list):
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                fail(full, f"is a list of tables: write [[{full}]], with two brackets")
            for item in value:
                _check_entry(item, wanted[0], full, key, fail)
        elif not isinstance(value, dict):
            fail(full, "must be a table")
        else:
            _check(value, wanted, full, fail)


def _check_entry(item: Mapping[str, Any], form: Mapping[str, Any], at: str, kind: str, fail: Fail) -> None:
    named = next((item[key] for key in _NEEDED[kind] if isinstance(item.get(key), str)), "")
    for key in _NEEDED[kind]:
        if key not in item:
            fail(at, f"has an entry without {key}" + (f": {named}" if named else ""), value=named)
    _check(item, form, at, fail, named)
    for condition in _texts(item.get("when", [])):
        if not is_condition(condition):
            close = _close(condition, CONDITIONS)
            known = f"known: {', '.join(CONDITIONS)}, tasks-per-node=8 and the like, NAME=value"
            hint = f"did you mean {close}?" if close else known
            fail(f"{at}.when", f"names {condition}, which is no condition", value=condition, hint=hint)
    if kind == "set" and not (named.isascii() and named.isidentifier()):
        fail(f"{at}.name", f"is {named}, which no shell could read", value=named)
    if kind == "srun" and not named.replace("-", "").isalnum():
        fail(f"{at}.option", f"is {named}, not a long option of srun without its hyphens", value=named)
    names = FILLED if kind == "set" else KNOWN
    for name in placeholders_of(str(item.get("value", ""))):
        if name not in names and not (kind == "set" and name.isupper()):
            close = _close(name, names)
            filled = ", ".join((*names, *(["variables in capitals"] if kind == "set" else [])))
            hint = f"did you mean {{{close}}}?" if close else f"these are filled: {filled}"
            fail(f"{at}.value", f"of {named} has {{{name}}}, which nothing fills", value=named, hint=hint)


def _texts(value: Any) -> Iterator[str]:
    yield from [value] if isinstance(value, str) else value


def _close(word: str, known: Any) -> str:
    import difflib  # only for a mistake

    return "".join(difflib.get_close_matches(word, [name for name in known if name != "*"], n=1))
