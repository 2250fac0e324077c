"""What is said about the builder `cotainr`, where it cannot work and when it has."""

from pathlib import Path

import pytest
from universe import snapshot

from lumienv.errors import StoreError
from lumienv.overlay.generation import Generation
from lumienv.overlay.sif import Workshop
from lumienv.overlay.sif_cotainr import cost_of_appending, repack
from lumienv.runtime.singularity import Singularity
from lumienv.ui import Output


def test_an_image_is_not_lost_where_no_sample_can_be_copied(tmp_path: Path) -> None:
    base = tmp_path / "base.sif"
    base.write_bytes(bytes(3_000_000))
    generation = Generation(tmp_path, "", "sif", "sif", str(base), base.name, "", {}, "", "", "apptainer", "")
    generation.carrier.touch()
    (tmp_path / ".sample" / "in the way").mkdir(parents=True)
    assert cost_of_appending(generation, [], 0) == "--builder append: one copy of the base, 3 MB"


def test_a_colon_in_tmpdir_is_named_as_the_reason(tmp_path: Path) -> None:
    generation = Generation(tmp_path, "", "sif", "sif", "/b.sif", "b.sif", "", {}, "", "", "apptainer", "")
    scratch = Path("/with:colon/lumienv-scratch-1/image")
    workshop = Workshop(Singularity("/usr/bin/singularity", "apptainer"), scratch, 1, Output(), {})
    with pytest.raises(StoreError, match="cannot unpack in /with:colon, which has a colon") as caught:
        repack(generation, tmp_path, snapshot(), workshop)
    assert "TMPDIR" in (caught.value.hint or "")
