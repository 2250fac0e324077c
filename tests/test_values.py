"""`lumienv.values` held against the standard library's dataclasses: the same classes, made by both."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lumienv import values

Way = tuple[Callable[..., Any], Callable[..., Any]]


class Made:
    """A parent and a child by one of the two ways."""

    def __init__(self, way: Any) -> None:
        @way.dataclass(frozen=True)
        class Parent:
            name: str
            size: int = 3
            """bytes"""
            more: Mapping[str, str] = way.field(default_factory=dict)

            @property
            def doubled(self) -> int:
                return 2 * self.size

        @way.dataclass(frozen=True)
        class Child(Parent):
            words: tuple[str, ...] = ()

            def __repr__(self) -> str:
                return f"<{self.name}>"

        self.parent, self.child = Parent, Child


OURS, THEIRS = Made(values), Made(dataclasses)


@values.dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


GIVEN: list[tuple[tuple[object, ...], dict[str, object]]] = [
    (("a",), {}),
    (("a", 4), {"more": {"b": "c"}}),
    ((), {"name": "a", "words": ("w",)}),
    (("a", 1, {}, ("x", "y")), {}),
]


@pytest.mark.parametrize(("given", "named"), GIVEN)
def test_a_value_has_the_fields_of_the_standard_librarys(
    given: tuple[object, ...], named: dict[str, object]
) -> None:
    ours, theirs = OURS.child(*given, **named), THEIRS.child(*given, **named)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]
    assert ours.doubled == theirs.doubled
    assert repr(ours) == repr(theirs) == "<a>"
    assert values.replace(ours, size=9) == dataclasses.replace(ours, size=9)
    with pytest.raises(TypeError):
        values.replace(ours, unknown=1)
    assert dataclasses.asdict(dataclasses.replace(ours, size=9)) == dataclasses.asdict(
        dataclasses.replace(theirs, size=9)
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), (("a", 1, {}, (), "too many"), {}), (("a",), {"name": "b"}), (("a",), {"unknown": 1})],
)
@pytest.mark.parametrize("way", [OURS, THEIRS], ids=["ours", "theirs"])
def test_what_is_no_field_is_refused(way: Made, given: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        way.child(*given, **named)


@pytest.mark.parametrize("way", [OURS, THEIRS], ids=["ours", "theirs"])
def test_values_are_equal_by_class_and_fields(way: Made) -> None:
    assert way.parent("a") == way.parent("a", 3, {})
    assert way.parent("a") != way.parent("a", 4)
    assert way.parent("a") != way.child("a")
    assert way.parent("a") != "a"
    assert repr(way.parent("a")).endswith("Parent(name='a', size=3, more={})")


@pytest.mark.parametrize("way", [OURS, THEIRS], ids=["ours", "theirs"])
def test_a_value_cannot_be_changed(way: Made) -> None:
    value = way.parent("a")
    for name in ("name", "unknown"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.name


def test_values_are_keys_where_their_fields_are() -> None:
    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(OURS.parent("a"))


def test_each_value_has_a_default_of_its_own() -> None:
    assert OURS.parent("a").more is not OURS.parent("b").more


def test_a_value_can_be_copied() -> None:
    value = OURS.child("a", more={"b": "c"})
    assert copy.deepcopy(value) == value
