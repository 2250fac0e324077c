"""TOML as locks are written: it says what was meant, and a diff of it is short."""

import string
import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumienv.tomltext import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXTS | st.text(string.ascii_letters + "-_", min_size=1)
PLAIN = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.datetimes(timezones=st.just(UTC) | st.none())
)
ENTRIES = st.dictionaries(
    KEYS, PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(KEYS, PLAIN, max_size=3)
)
TABLES = st.recursive(
    st.dictionaries(KEYS, PLAIN | st.lists(PLAIN, max_size=3) | st.lists(ENTRIES, max_size=3)),
    lambda inner: st.dictionaries(KEYS, PLAIN | st.lists(ENTRIES, max_size=3) | inner),
    max_leaves=6,
)


@given(TABLES)
def test_what_is_written_is_what_was_meant(data: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(data)) == data


def test_each_entry_has_a_line() -> None:
    data = {
        "version": "1.0",
        "packages": [
            {"name": "a", "needs": [{"name": "b"}, {"name": "c"}], "hashes": {"sha256": "00"}, "none": []},
            {"name": "d", "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "names": ["x", "y"]},
        ],
        "tool": {"ours": {"schema": 1, "declared": {"a key": ["z"]}}},
    }
    assert toml_text(data) == (
        'version = "1.0"\n'
        "\n"
        "[[packages]]\n"
        'name = "a"\n'
        "needs = [\n"
        '    {name = "b"},\n'
        '    {name = "c"},\n'
        "]\n"
        'hashes = {sha256 = "00"}\n'
        "none = []\n"
        "\n"
        "[[packages]]\n"
        'name = "d"\n'
        "when = 2026-01-02T03:04:05Z\n"
        'names = ["x", "y"]\n'
        "\n"
        "[tool.ours]\n"
        "schema = 1\n"
        "\n"
        "[tool.ours.declared]\n"
        '"a key" = ["z"]\n'
    )


def test_a_value_that_toml_does_not_know_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        toml_text({"key": None})
