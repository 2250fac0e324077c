"""The user's variables, and those that a runtime could not carry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import ManifestError, UsageError
from lumienv.launch.variables import carried, check_size, variables
from lumienv.manifest import HostValue, ImageTable, Manifest, RunTable

SHOW = """\
import os, sys
print([os.environb.get(b"X"), os.environb.get(b"IFS"), [os.fsencode(word) for word in sys.argv[1:]]])
"""


def manifest(**env: str | HostValue) -> Manifest:
    return Manifest(Path("/p/lumienv.toml"), ImageTable("path", "b.sif"), run=RunTable(env=env))


@pytest.mark.parametrize("name", ["HOME", "UID", "EUID", "GID"])
def test_a_variable_that_the_runtime_sets_itself_is_refused_with_another_way(name):
    with pytest.raises(UsageError, match=f"--env {name} cannot be given to a container") as caught:
        variables(manifest(), {}, [f"{name}=1"])
    assert f"env {name}=… COMMAND" in (caught.value.hint or "")
    with pytest.raises(ManifestError, match=f"env: {name} cannot be given"):
        variables(manifest(**{name: "1"}), {}, [])
    assert variables(manifest(), {}, [f"{name}=1"], container=False)[0] == {name: "1"}


@pytest.mark.parametrize("name", ["PREPEND_PATH", "APPEND_PATH"])
def test_parts_of_path_are_refused_as_the_overlay_has_the_first_place(name):
    with pytest.raises(UsageError, match="part of PATH") as caught:
        variables(manifest(), {}, [f"{name}=/mine"])
    assert "set PATH as a whole" in (caught.value.hint or "")


@pytest.mark.parametrize("value", ["caf\udce9", "a\x80b", "\x81", "line\r\nline"])
def test_a_secret_that_the_runtime_would_spoil_is_refused_and_not_shown(value):
    with pytest.raises(UsageError) as caught:
        variables(manifest(TOKEN=HostValue("TOKEN")), {"TOKEN": f"s3cr3t{value}"}, [])
    assert "s3cr3t" not in str(caught.value)
    assert "the host's TOKEN" in caught.value.message


@pytest.mark.parametrize("container", [True, False])
def test_a_secret_under_a_name_of_the_shells_own_is_refused_and_not_shown(container):
    # `env IFS=…` would put it on a command line.
    for wanted, typed in ((manifest(IFS=HostValue("IFS")), []), (manifest(), ["IFS"])):
        with pytest.raises(UsageError, match="IFS cannot be taken from the host") as caught:
            variables(wanted, {"IFS": "s3cr3t"}, typed, container=container)
        assert "s3cr3t" not in f"{caught.value.message}{caught.value.facts}{caught.value.hint}"


def test_a_path_that_the_runtime_would_spoil_is_refused():
    with pytest.raises(UsageError, match="PATH"):
        carried(["true"], {"PATH": "/caf\udce9"})


def test_what_the_runtime_carries_is_left_as_it_is():
    values = {"A": "ü\n'\"$(id)\\ \r", "IFS": "x"}
    assert carried(["python", "日本"], values) == (["python", "日本"], values)


_RAW = st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
_ODD = st.sampled_from(["caf\udce9\n\n", "\x80", "\x81'\"", "a\r\nb", "\udcff%s\\", "-\udcff"])


@examples(30)
@given(value=_ODD, ifs=_RAW, words=st.lists(_RAW | _ODD, max_size=4))
def test_any_bytes_are_written_anew_by_a_line_that_is_plain_text_itself(
    value: str, ifs: str, words: list[str]
):
    command, kept = carried([sys.executable, "-c", SHOW, *words], {"X": value, "IFS": ifs})
    assert all(word.isascii() or word in (sys.executable, *words) for word in command)
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **kept}, capture_output=True, check=True)
    seen = [os.fsencode(value), os.fsencode(ifs), [os.fsencode(word) for word in words]]
    assert done.stdout.decode().strip() == str(seen)


def test_more_than_the_runtime_takes_is_said_before_it_fails():
    check_size(["x" * 400_000], {"A": "y" * 500_000})
    with pytest.raises(UsageError, match=r"1\.1 MB long; the runtime takes 1 MB"):
        check_size(["x" * 600_000], {"A": "y" * 500_000})
