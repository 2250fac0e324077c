"""Every answer of `--json` that a test gets from the real program is held against its schema."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
_GROUPS = ("image", "cache")


def schema_name(words: Sequence[str]) -> str:
    """`image-list`, for `lumienv image list --json`."""
    return "-".join(words[: 2 if words[0] in _GROUPS else 1])


@cache
def validator(name: str) -> Draft202012Validator:
    """Of the schema of this name, which is a valid one itself."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check_answer(words: Sequence[str], out: str) -> None:
    """Hold what `lumienv words…` printed against the schema, if it was asked for JSON and has answered."""
    own = words[: list(words).index("--")] if "--" in words else words
    if "--json" not in own or not out.strip() or own[0] == "run":
        return
    errors = [error.message for error in validator(schema_name(own)).iter_errors(json.loads(out))]
    assert not errors, f"{words}: {errors}\n{out}"
