"""What the benchmarks count: operations on metadata, as strace tells them."""

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks.tracing")


def _paths(tracing: Any, line: str) -> set[str]:
    return {path for operation in tracing.operations([line]) for path in operation.paths}


def test_a_path_is_told_by_the_folder_that_it_is_relative_to(tracing: Any) -> None:
    assert _paths(tracing, 'openat(5</opt/lumienv>, "lib/a.py", O_RDONLY) = -1 ENOENT (No such file)') == {
        "/opt/lumienv/lib/a.py"
    }
    assert _paths(tracing, 'newfstatat(AT_FDCWD</home/me>, "/opt/x", {st_size=3, ...}, 0) = 0') == {"/opt/x"}
    assert _paths(tracing, "getdents64(3</opt/lumienv/lib>, 0x1 /* 9 entries */, 32768) = 272") == {
        "/opt/lumienv/lib"
    }


def test_a_file_counts_where_a_link_leads_to_it(tracing: Any) -> None:
    line = 'openat(AT_FDCWD</>, "/proc/self/fd/6", O_RDONLY|O_CLOEXEC) = 7</scratch/.lumienv/o.squashfs>'
    assert _paths(tracing, line) == {"/proc/self/fd/6", "/scratch/.lumienv/o.squashfs"}


def test_both_ends_of_a_bind_count(tracing: Any) -> None:
    line = 'mount("/scratch/.lumienv/tree", "/opt/lumienv", NULL, MS_BIND|MS_REC, NULL) = 0'
    assert _paths(tracing, line) == {"/scratch/.lumienv/tree", "/opt/lumienv"}


def test_the_words_of_a_command_are_no_paths(tracing: Any) -> None:
    line = 'execve("/usr/bin/cat", ["cat", "/opt/lumienv/x"], 0x1 /* 5 vars */) = 0'
    assert _paths(tracing, line) == {"/usr/bin/cat"}


def test_a_neighbour_with_a_longer_name_is_not_below_a_folder(tracing: Any) -> None:
    (operation,) = tracing.operations(['access("/opt/lumienv-2/bin", R_OK) = 0'])
    assert not operation.below(["/opt/lumienv"])
    assert operation.below(["/opt", "/opt/lumienv"])


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_operations_of_all_processes_are_counted(tracing: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "file").write_text("a")
    words = ["/bin/sh", "-c", f"test -e {store}/file; (cat {store}/file; true); ls /"]
    seen = tracing.trace(words, os.environ, tmp_path, tmp_path / "trace")
    # One look by the shell, an open by cat; cat then asks how large what it opened is.
    assert seen.metadata(str(store)) >= 3
    assert seen.reads(str(store / "file")) >= 1
    assert seen.metadata(str(tmp_path / "elsewhere")) == 0
