"""`lock` against `uv pip compile` and pip-tools, which are told of the image's packages by stub wheels."""

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, LeftOutError, fresh, remove
from benchmarks.measure import Bar, Row, Timing, interleaved, say, timed
from benchmarks.mirror import Mirror

DEPENDENCIES = (
    *("datasets", "accelerate", "wandb", "lightning"),
    *("scikit-learn", "matplotlib", "jupyterlab", "tensorboard"),
)
FAMILY = "pytorch"


def rows(bench: Bench) -> Iterator[Row]:
    """The rows; those that this machine cannot measure say why."""
    try:
        contest = Contest.on(bench)
    except LeftOutError as reason:
        yield Row("lock", note=str(reason))
        return
    for latency, sidecars in ((20, True), (20, False), (0, True), (0, False)):
        with Mirror(bench.store, latency=latency, sidecars=sidecars) as mirror:
            yield _cold(contest, mirror, latency, sidecars)
    with Mirror(bench.store, sidecars=True) as mirror:
        yield from _warm(contest, mirror)
        yield _unchanged(contest, mirror)
        yield _probe(contest, mirror)


@dataclass(frozen=True)
class Contest:
    """The same task for all: a project on an image, and the stubs that stand for the image."""

    bench: Bench
    snapshot: Path
    facts: dict[str, Any]
    project: Path
    peers: Path
    """the folder of requirements.in, base.txt and stubs/"""

    @classmethod
    def on(cls, bench: Bench) -> "Contest":
        """Set it up. Raises LeftOutError."""
        snapshot, facts = bench.snapshot(FAMILY)
        peers = bench.work / "peers"
        (peers / "stubs").mkdir(parents=True, exist_ok=True)
        for package in facts["packages"]:
            _stub(peers / "stubs", package["name"], package["version"])
        pins = [f"{package['name']}=={package['version']}\n" for package in facts["packages"]]
        (peers / "base.txt").write_text("".join(pins))
        (peers / "requirements.in").write_text("".join(f"{name}\n" for name in DEPENDENCIES))
        project = bench.project("lock", bench.image(FAMILY), DEPENDENCIES)
        return cls(bench, snapshot, facts, project, peers)

    @property
    def names(self) -> list[str]:
        """The image's packages."""
        return [package["name"] for package in self.facts["packages"]]

    def lumienv(self, mirror: Mirror, cache: Path) -> Callable[[], float]:
        """`lumienv lock` without a lock, with what is in `cache`."""
        env = self.bench.environment(mirror.url, LUMIENV_CACHE_DIR=str(cache))

        def lock() -> float:
            remove(self.project / "pylock.lumienv.toml")
            return timed([self.bench.lumienv, "lock"], env, self.project)

        return lock

    def uv(self, mirror: Mirror, cache: Path) -> Callable[[], float]:
        """`uv pip compile` for the image's Python, wheels only, with hashes: what lumienv's lock holds."""
        words = [self.bench.uv, "pip", "compile", "--quiet", "requirements.in", "-o", "uv.txt"]
        words += ["-c", "base.txt", "--find-links", "stubs", "--only-binary", ":all:", "--generate-hashes"]
        words += ["--python", self.bench.python, "--python-version", self.facts["python"]["version"]]
        words += [word for name in self.names for word in ("--no-emit-package", name)]
        words += ["--cache-dir", str(cache)]
        env = self.bench.environment(mirror.url)

        def compile_() -> float:
            remove(self.peers / "uv.txt")
            return timed(words, env, self.peers)

        return compile_

    def pip_tools(self, mirror: Mirror, cache: Path) -> Callable[[], float]:
        """`pip-compile` with the same constraints, of the image's Python where this machine has it."""
        minor = ".".join(self.facts["python"]["version"].split(".")[:2])
        program = str(self.bench.tool("pip-tools", minor) / "pip-compile")
        words = [program, "--quiet", "--output-file", "pip-tools.txt", "-c", "base.txt", "--generate-hashes"]
        words += ["--no-emit-index-url", "--no-emit-find-links", "--allow-unsafe", "--strip-extras"]
        words += ["--find-links", "stubs", "--pip-args", "--only-binary :all:", "requirements.in"]
        env = self.bench.environment(
            PIP_INDEX_URL=mirror.url,
            PIP_CACHE_DIR=str(cache / "pip"),
            PIP_TOOLS_CACHE_DIR=str(cache / "tools"),
        )

        def compile_() -> float:
            remove(self.peers / "pip-tools.txt")
            return timed(words, env, self.peers)

        return compile_

    def agreement(self) -> str:
        """How many packages lumienv and uv locked, and where they differ."""
        text = (self.project / "pylock.lumienv.toml").read_text()
        ours = dict(re.findall(r'^\[\[packages\]\]\nname = "(.+)"\nversion = "(.+)"$', text, re.MULTILINE))
        theirs = dict(re.findall(r"^([\w.-]+)==(\S+)", (self.peers / "uv.txt").read_text(), re.MULTILINE))
        differing = [
            f"{name} {ours.get(name, '–')}/{theirs.get(name, '–')}"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        return f"{len(ours)} locked, {', '.join(differing) or 'the same as uv'}"


def _cold(contest: Contest, mirror: Mirror, latency: float, sidecars: bool) -> Row:
    offer = "metadata offered" if sidecars else "metadata by range"
    say(f"lock, nothing cached, {latency} ms, {offer}")
    work = contest.bench.work
    ours, uv = work / "cold-lumienv", work / "cold-uv"
    asked: dict[str, str] = {}

    def lumienv() -> float:
        fresh(ours, contest.snapshot)
        mirror.served()
        seconds = contest.lumienv(mirror, ours)()
        asked["lumienv"] = _said(mirror)
        return seconds

    def uv_() -> float:
        fresh(uv)
        mirror.served()
        seconds = contest.uv(mirror, uv)()
        asked["uv"] = _said(mirror)
        return seconds

    found = interleaved({"lumienv": lumienv, "uv": uv_}, contest.bench.runs)
    return Row(
        f"lock, nothing cached, + {latency} ms, {offer}",
        found["lumienv"],
        "uv pip compile",
        found["uv"],
        Bar(1.0) if latency else None,
        f"{contest.agreement()}; asked: lumienv {asked['lumienv']}, uv {asked['uv']}",
    )


def _said(mirror: Mirror) -> str:
    served = mirror.served()
    return f"{served.requests} × ({served.sent / 1e6:.0f} MB, mirror {served.cpu * 1000:.0f} ms CPU)"


def _warm(contest: Contest, mirror: Mirror) -> Iterator[Row]:
    say("lock, index cached")
    work = contest.bench.work
    cases = {"lumienv": contest.lumienv(mirror, fresh(work / "warm-lumienv", contest.snapshot))}
    cases["uv"] = contest.uv(mirror, fresh(work / "warm-uv"))
    found = interleaved(cases, contest.bench.runs)
    yield Row(
        "lock, index cached",
        found["lumienv"],
        "uv pip compile",
        found["uv"],
        Bar(2.0, 0.3),
        contest.agreement(),
    )
    say("the same with pip-tools")
    cases = {"lumienv": cases["lumienv"]}
    cases["pip-tools"] = contest.pip_tools(mirror, fresh(work / "warm-pip"))
    found = interleaved(cases, min(3, contest.bench.runs))
    yield Row("lock, index cached", found["lumienv"], "pip-compile", found["pip-tools"], Bar(0.1))


def _unchanged(contest: Contest, mirror: Mirror) -> Row:
    say("lock, nothing changed")
    bench = contest.bench
    # The runtime is not there to be started, and the mirror counts.
    env = bench.environment(
        mirror.url, LUMIENV_CACHE_DIR=str(bench.work / "warm-lumienv"), LUMIENV_RUNTIME="/nonexistent"
    )
    mirror.served()
    found = interleaved(
        {
            "lumienv": lambda: timed([bench.lumienv, "lock"], env, contest.project),
            "python": lambda: timed([bench.python, "-c", "pass"], env, contest.project),
        },
        4 * bench.runs,
    )
    asked = mirror.served().requests
    note = f"{asked} requests, no container"
    return Row(
        "lock, nothing changed", found["lumienv"], "python -c pass", found["python"], Bar(1, 0.15), note
    )


def _probe(contest: Contest, mirror: Mirror) -> Row:
    say("the probe")
    bench = contest.bench
    cache = bench.work / "probed"

    def everything() -> float:
        fresh(cache)
        return contest.lumienv(mirror, cache)()

    def without_probe() -> float:
        fresh(cache, contest.snapshot)
        return contest.lumienv(mirror, cache)()

    image = str(bench.image(FAMILY))
    container = [bench.runtime(), "exec", image, "true"]
    env = bench.environment()
    found = interleaved(
        {
            "everything": everything,
            "without": without_probe,
            "container": lambda: timed(container, env, contest.project),
        },
        bench.runs,
    )
    added = Timing((found["everything"].median - found["without"].median,))
    return Row(
        "lock, nothing cached, 0 ms, the probe included",
        found["everything"],
        "without the probe",
        found["without"],
        note=f"the probe adds {added.median * 1000:.0f} ms; "
        f"`singularity exec IMAGE true` takes {found['container'].median * 1000:.0f} ms",
    )


def _stub(folder: Path, name: str, version: str) -> None:
    """A wheel with nothing but its name and version."""
    label = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: benchmarks\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{label}-py3-none-any.whl", "w") as wheel:
        record = ""
        for file, text in files.items():
            wheel.writestr(f"{label}.dist-info/{file}", text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            record += f"{label}.dist-info/{file},sha256={digest},{len(text)}\n"
        wheel.writestr(f"{label}.dist-info/RECORD", f"{record}{label}.dist-info/RECORD,,\n")
