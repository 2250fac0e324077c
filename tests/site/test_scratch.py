"""Node-local directories: those of killed processes go, those that somebody may be using stay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.site.scratch import scratch_directory


def abandoned(folder: Path) -> Path:
    """What a process leaves that ends without a chance to clean up."""
    program = f"""
import os
from pathlib import Path
from lumienv.site.scratch import scratch_directory
with scratch_directory(Path({str(folder)!r})) as path:
    print(path, flush=True)
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = abandoned(tmp_path)
    assert left.is_dir()
    with scratch_directory(tmp_path) as path:
        assert path.is_dir()
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_another_node_has_in_a_shared_folder_stays(tmp_path: Path) -> None:
    left = abandoned(tmp_path)
    elsewhere = left.with_name(left.name.replace(os.uname().nodename, f"{os.uname().nodename}x", 1))
    left.rename(elsewhere)
    with scratch_directory(tmp_path):
        assert elsewhere.is_dir()


def test_a_folder_that_is_not_there_names_the_variable_that_says_it(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(StoreError, match=f"no folder {missing}") as caught, scratch_directory(missing):
        pytest.fail("it was made")
    assert "TMPDIR" in (caught.value.hint or "")
