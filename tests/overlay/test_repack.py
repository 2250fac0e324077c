"""What is done to an unpacked image before cotainr packs it anew."""

import json
import os
from pathlib import Path

import pytest

from lumienv.overlay.repack import furnish

REQUEST = {
    "unpack": [],
    "open": ["opt/lumienv", ".singularity.d/env"],
    "labels": {"lumienv.mount": "/opt/lumienv"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What shall go in: made under LUMI's umask."""
    before = os.umask(0o077)
    try:
        root = tmp_path / "root"
        (root / "opt/lumienv/bin").mkdir(parents=True)
        (root / "opt/lumienv/bin/tool").write_text("#!/bin/sh\n")
        (root / "opt/lumienv/bin/tool").chmod(0o700)
        (root / "opt/lumienv/data").write_text("data\n")
        (root / "opt/lumienv/python").symlink_to("/usr/bin/python")
        (root / ".singularity.d/env").mkdir(parents=True)
        (root / ".singularity.d/env/93-lumienv-01.sh").write_text("export X=1\n")
    finally:
        os.umask(before)
    return root


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """An unpacked image."""
    sandbox = tmp_path / "sandbox"
    (sandbox / ".singularity.d/env").mkdir(parents=True)
    (sandbox / ".singularity.d/env/90-environment.sh").write_text("")
    (sandbox / ".singularity.d/labels.json").write_text(json.dumps({"old": "kept"}, indent=40))
    (sandbox / "opt/venv").mkdir(parents=True)
    return sandbox


def like_cotainr(sandbox: Path) -> None:
    """Writes labels over the beginning of the file."""
    with (sandbox / ".singularity.d/labels.json").open("r+") as file:
        labels = json.load(file)
        file.seek(0)
        json.dump({**labels, "cotainr.version": "1"}, file)


def test_tree_and_scripts_go_in_beside_what_is_there(sandbox, root):
    furnish(sandbox, {**REQUEST, "root": str(root)}, lambda: like_cotainr(sandbox))

    assert sorted(path.name for path in (sandbox / "opt").iterdir()) == ["lumienv", "venv"]
    assert len(list((sandbox / ".singularity.d/env").iterdir())) == 2
    assert (sandbox / "opt/lumienv/python").readlink() == Path("/usr/bin/python")


def test_everybody_can_read_what_goes_in_and_nobody_else_can_change_it(sandbox, root):
    furnish(sandbox, {**REQUEST, "root": str(root)}, lambda: like_cotainr(sandbox))

    modes = {
        name: (sandbox / name).stat().st_mode & 0o777
        for name in ("opt/lumienv", "opt/lumienv/bin", "opt/lumienv/bin/tool", "opt/lumienv/data")
    }
    assert list(modes.values()) == [0o755, 0o755, 0o755, 0o644]


def test_labels_of_all_three_are_there(sandbox, root):
    furnish(sandbox, {**REQUEST, "root": str(root)}, lambda: like_cotainr(sandbox))

    labels = json.loads((sandbox / ".singularity.d/labels.json").read_text())
    assert labels == {"old": "kept", "cotainr.version": "1", "lumienv.mount": "/opt/lumienv"}


@pytest.mark.parametrize("place", ["opt", "opt/lumienv", ".singularity.d/labels.json"])
def test_no_link_in_an_image_leads_out_of_the_sandbox(sandbox, root, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    (sandbox / place).rename(tmp_path / "away") if (sandbox / place).exists() else None
    (sandbox / place).symlink_to(outside)

    with pytest.raises(RuntimeError, match=f"/{place} is a link in the image"):
        furnish(sandbox, {**REQUEST, "root": str(root)}, lambda: like_cotainr(sandbox))

    assert list(outside.iterdir()) == []
