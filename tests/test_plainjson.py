"""`lumienv.plainjson` and `lumienv.shell` held against the standard library's, whose place they take."""

import json
import shlex
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumienv.manifest import inputs_of
from lumienv.plainjson import loads, quoted
from lumienv.shell import quote

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_what_was_written_as_json_is_read(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only) + "\n"
    assert loads(text.encode()) == value


@pytest.mark.parametrize(
    "text", ["", "{", '{"a"}', "1 2", "nul", "[1,]", '{"a": 1,}', "\0", '"\n"', "[NaN, -Infinity]"]
)
def test_what_is_no_json_is_refused_by_both(text: str) -> None:
    try:
        expected = repr(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            loads(text.encode())
    else:
        assert repr(loads(text.encode())) == expected


def test_what_is_no_json_is_refused_where_json_has_not_been_imported() -> None:
    # There the scanner has nothing to raise: it looks the exception up in json.decoder.
    code = (
        "import sys\nfrom lumienv.plainjson import loads\nassert 'json' not in sys.modules\n"
        "try:\n    loads(b'{')\nexcept ValueError as error:\n    sys.stdout.write(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "JSONDecodeError"


@pytest.mark.parametrize("asked", ["array_hook", "what_only_a_newer_python_asks_for"])
def test_json_is_read_by_a_scanner_that_asks_for_more_too(asked: str) -> None:
    code = (
        "import _json, sys\nmake = _json.make_scanner\n"
        f"_json.make_scanner = lambda context: (context.{asked}, make(context))[1]\n"
        "from lumienv.plainjson import loads\n_json.make_scanner = make\n"
        "sys.stdout.write(str(loads(b'[1, {}]')))\n"
        "sys.stdout.write(' by the other half' if 'json' in sys.modules else '')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, {}]" + ("" if asked == "array_hook" else " by the other half")


def test_what_is_nested_too_deeply_is_refused_as_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        loads(b"[" * 200_000)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        loads(b'"\xff"')


@given(st.text())
def test_text_is_quoted_as_the_standard_library_does(text: str) -> None:
    assert quoted(text) == json.dumps(text)
    if not any(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in text):
        assert quote(text) == shlex.quote(text)


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "a\rb'$(id)\n\n", "\x9b2J é %s \\n", "\x7f-n"])
def test_what_a_terminal_would_act_on_is_written_so_that_only_a_shell_reads_it(text: str) -> None:
    word = quote(text)
    assert not [c for c in word if unicodedata.category(c) == "Cc" and c != "\n"]
    for shell in ("/bin/sh", "/bin/bash"):
        words = [shell, "-c", f"exec printf '[%s]' {word}"]
        assert subprocess.run(words, capture_output=True, check=True).stdout == f"[{text}]".encode()


@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_the_digest_of_the_inputs_is_over_json(declared: dict[str, list[str]]) -> None:
    from hashlib import sha256

    written = json.dumps({"schema": 7, "declared": declared}, sort_keys=True, separators=(",", ":"))
    assert inputs_of(declared, 7) == "sha256:" + sha256(written.encode()).hexdigest()
