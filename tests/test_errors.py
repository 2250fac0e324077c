"""Errors are sentences: what could not be done, the facts, a way out."""

import pytest

import lumienv.errors
from lumienv.errors import InterruptedByUserError, LumienvError, UsageError


def test_an_error_reads_as_message_then_facts_then_help() -> None:
    error = LumienvError("no image fits", "looked in /images", "found none", hint="name another\nor a path")
    assert str(error).splitlines() == [
        "no image fits",
        "  looked in /images",
        "  found none",
        "help: name another",
        "      or a path",
    ]


def test_an_error_without_facts_and_hint_is_its_message() -> None:
    assert str(LumienvError("no image fits")) == "no image fits"


def test_an_empty_hint_is_no_traceback() -> None:
    assert str(LumienvError("no image fits", hint="")).splitlines()[-1].strip() == "help:"


@pytest.mark.parametrize(
    "kind", [value for value in vars(lumienv.errors).values() if isinstance(value, type)]
)
def test_every_error_has_the_exit_code_of_its_kind(kind: type[LumienvError]) -> None:
    expected = {UsageError: 2, InterruptedByUserError: 130}
    assert kind.exit_code == expected.get(kind, 1)
    assert issubclass(kind, LumienvError)
