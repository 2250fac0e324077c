"""`sync --mode sif` against cotainr, and against nothing but copying the base and packing the tree.

The base is the lab's image made as large as a small one of LUMI's, by files that do not compress.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench, LeftOutError, fresh, remove
from benchmarks.measure import Bar, Row, Timing, interleaved, once, say, started, timed
from benchmarks.stack import FAMILY, Stack, stack
from lumienv.overlay.generation import MOUNT

_MORE = 850
"""MB that are added to the image"""
_FILE = 25
"""MB of each of the files that they are in"""
_COTAINR = "cotainr==2025.7.*"


def rows(bench: Bench) -> Iterator[Row]:
    """The rows, or why this machine cannot measure them."""
    try:
        base = _large_base(bench)
    except LeftOutError as reason:
        yield Row("sync --mode sif", note=str(reason))
        return
    with stack(bench, base, "sif") as made:
        yield from _rows(made)


def _rows(made: Stack) -> Iterator[Row]:
    bench, size = made.bench, f"{made.image.stat().st_size / 1e9:.1f} GB base"
    made.sync("--mode", "venv")
    tree = made.hand / "tree"
    shutil.copytree(made.store / "current" / "tree", tree, symlinks=True)
    say(f"sync --mode sif --builder append, the tree ready, {size}")
    cases = {"lumienv": lambda: _carry(made, "append"), "parts": lambda: _parts(made, tree)}
    carried = interleaved(cases, min(3, bench.runs))
    what = f"sync --mode sif --builder append, the tree ready, {size}"
    said = f"{made.processors} processors each; reflinks here: {_reflinks(bench.work)}"
    yield Row(what, carried["lumienv"], "cp base + mksquashfs tree", carried["parts"], Bar(1.3, 1.0), said)
    say("cotainr's repack of the same, once")
    repack = once(lambda: _repack(made, tree))
    yield Row(what, carried["lumienv"], "cotainr's repack", repack, Bar(0.05), "the repack ran once")
    say("sync --mode sif, whole, with both builders")
    whole = interleaved(
        {
            "append": lambda: made.sync("--mode", "sif", "--builder", "append"),
            "by hand": made.directory_by_hand,
        },
        min(2, bench.runs),
    )
    by_hand = Timing((whole["by hand"].median + repack.median,))
    against = "pip + cotainr's repack"
    yield Row(f"sync --mode sif --builder append, {size}", whole["append"], against, by_hand)
    cotainr = once(lambda: made.sync("--mode", "sif", "--builder", "cotainr"))
    note = "lumienv's and cotainr's repack ran once each"
    yield Row(f"sync --mode sif --builder cotainr, {size}", cotainr, against, by_hand, note=note)


def _carry(made: Stack, builder: str) -> float:
    """Seconds from a built tree to the published image: packed, joined with the base, and started."""
    remove(made.store)
    words = [made.bench.python, "-P", "-m", "benchmarks.carrying", "--frozen", "--mode", "sif"]
    env = made.env | {"PYTHONPATH": os.environ["PYTHONPATH"]}
    said, _ = started([*words, "--builder", builder], env, made.folder)
    return float(said.split("seconds ")[-1])


def _parts(made: Stack, tree: Path) -> float:
    """Seconds of what no way of appending can do without."""
    copy, packed = made.hand / "copy.sif", made.hand / "tree.squashfs"
    remove(copy)
    remove(packed)
    taken = timed(["cp", "--reflink=never", str(made.image), str(copy)], made.env, made.hand)
    return taken + timed(made.mksquashfs(tree, packed), made.env, made.hand)


def _repack(made: Stack, tree: Path) -> float:
    """Seconds of cotainr with a tree that is ready."""
    python = made.bench.tool(_COTAINR, "3.11") / "python"
    out = made.hand / "repacked.sif"
    remove(out)
    program = Path(__file__).with_name("repack.py")
    words = [str(python), "-P", str(program), str(made.image), str(tree), MOUNT, str(out)]
    # cotainr's sandbox has to lie where containers see it.
    env = made.env | {"TMPDIR": str(fresh(made.bench.work / "sandboxes"))}
    return timed(words, env, made.hand)


def _reflinks(folder: Path) -> str:
    """Whether files can share their content here: lumienv's copy then costs nothing."""
    (folder / "reflink").write_text("a")
    words = ["cp", "--reflink=always", str(folder / "reflink"), str(folder / "reflink-copy")]
    return "no" if subprocess.run(words, capture_output=True).returncode else "YES, so it is no contest"


def _large_base(bench: Bench) -> Path:
    """The lab's image and 850 MB more, kept from run to run. Raises LeftOutError."""
    model = bench.image(FAMILY)
    base = bench.store.parent / "bases" / f"{model.stat().st_size}-{_MORE}" / model.name
    if not base.exists():
        say(f"a base of {_MORE} MB more than {model.name}, once")
        base.parent.mkdir(parents=True, exist_ok=True)
        sandbox, part = bench.work / "base", base.with_suffix(".part")
        env, build = bench.environment(), [bench.runtime(), "-q", "build", "--force"]
        timed([*build, "--sandbox", "--fix-perms", str(sandbox), str(model)], env, bench.work)
        filled = sandbox / "opt" / "benchmarks"
        filled.mkdir(parents=True)
        for n in range(_MORE // _FILE):
            (filled / f"lib{n}.so").write_bytes(os.urandom(_FILE * 1_000_000))
        timed([*build, str(part), str(sandbox)], env, bench.work)
        remove(sandbox)
        part.rename(base)
    return base
