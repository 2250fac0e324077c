"""What cotainr's result line says of the other builder."""

from pathlib import Path

from lumienv.overlay.generation import Generation
from lumienv.overlay.sif_cotainr import cost_of_appending


def test_an_image_is_not_lost_where_no_sample_can_be_copied(tmp_path: Path) -> None:
    base = tmp_path / "base.sif"
    base.write_bytes(bytes(3_000_000))
    generation = Generation(tmp_path, "", "sif", "sif", str(base), base.name, "", {}, "", "", "apptainer", "")
    generation.carrier.touch()
    (tmp_path / ".sample" / "in the way").mkdir(parents=True)
    assert cost_of_appending(generation, [], 0) == "--builder append: one copy of the base, 3 MB"
