"""Frozen dataclasses for what `lumienv run` goes through, without what `dataclasses` costs every process.

The standard library's module imports `inspect`, and compiles the methods of each class when it is defined:
together that takes longer than Python itself to start. Here they are written once, for all classes. Type
checkers are shown the standard library's, and its `replace`, `fields` and `asdict` work on these classes too.
Making a value is slower, so what is made by the thousand is better off there.
"""

from collections.abc import Callable

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, NoReturn


class _Factory:
    """What `field(default_factory=…)` leaves in the body of a class."""

    def __init__(self, *, default_factory: Callable[[], object]) -> None:
        self.make = default_factory


class _Fields:
    """`__dataclass_fields__`: what the standard library knows a dataclass by, made when it asks."""

    def __get__(self, value: object, owner: "type[Any]") -> "dict[str, Field[Any]]":
        import dataclasses

        described: list[tuple[str, Any, Any]] = []
        for name in owner.__lumienv_names__:
            default = owner.__lumienv_defaults__.get(name, dataclasses.MISSING)
            made = (
                {"default_factory": default.make} if isinstance(default, _Factory) else {"default": default}
            )
            described.append((name, object, dataclasses.field(**made)))
        twin: Any = dataclasses.make_dataclass(owner.__name__, described)
        return dict(twin.__dataclass_fields__)


class _Value:
    """The methods that each of these classes gets."""

    def __init__(self, /, *given: object, **named: object) -> None:
        cls: Any = type(self)
        names: tuple[str, ...] = cls.__lumienv_names__
        placed = dict(zip(names, given, strict=False))
        values = {**cls.__lumienv_defaults__, **placed, **named}
        if values.keys() != set(names) or len(placed) < len(given) or placed.keys() & named.keys():
            wrong = ", ".join(sorted((values.keys() ^ set(names)) | (placed.keys() & named.keys())))
            raise TypeError(f"{cls.__name__} has the fields {', '.join(names)}: {wrong or len(given)}")
        for name, value in values.items():
            if isinstance(value, _Factory):
                values[name] = value.make()
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> "NoReturn":
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> "NoReturn":
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in type(self).__lumienv_names__))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        cls: Any = type(self)
        fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in cls.__lumienv_names__)
        return f"{cls.__qualname__}({fields})"


_METHODS = {name: method for name, method in vars(_Value).items() if callable(method)}


def _dataclass(*, frozen: bool) -> Callable[["type[Any]"], "type[Any]"]:
    assert frozen
    return _with_methods


def _with_methods(cls: "type[Any]") -> "type[Any]":
    own = cls.__annotations__
    defaults = {name: cls.__dict__[name] for name in own if name in cls.__dict__}
    cls.__lumienv_names__ = (*getattr(cls, "__lumienv_names__", ()), *own)
    cls.__lumienv_defaults__ = {**getattr(cls, "__lumienv_defaults__", {}), **defaults}
    cls.__dataclass_fields__ = _Fields()
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return cls


def _replace(value: "Any", /, **changes: object) -> "Any":
    return type(value)(**{**value.__dict__, **changes})


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass, field, replace = _dataclass, _Factory, _replace
