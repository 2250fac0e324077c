"""A real registry of images on loopback (Debian's docker-registry), and images to fill it with (skopeo).

    with ImageRegistry(folder) as registry:
        digest = registry.push(layout, "org/image:1")
        registry.address  # 127.0.0.1:PORT

An image is written as an OCI layout by hand (image-spec, `image-layout.md`): one layer, a configuration, a
manifest. Other contents are other digests.
"""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

# The password is `geheim`, in the only form that the registry reads (bcrypt).
USER, PASSWORD = "someone", "geheim"
_HASH = "$2b$04$abcdefghijklmnopqrstuuPWRtT5yx7FBi4dcf6ROhboeNunUrLQ."
_CONFIGURATION = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
{auth}"""
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class ImageRegistry:
    """The registry, running; `closed` lets in only who has the password."""

    def __init__(self, folder: Path, *, closed: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._closed = closed
        auth = ""
        if closed:
            (folder / "passwords").write_text(f"{USER}:{_HASH}\n")
            auth = f"auth: {{htpasswd: {{realm: here, path: {folder / 'passwords'}}}}}\n"
        self._configuration = folder / "config.yml"
        self._configuration.write_text(_CONFIGURATION.format(storage=folder / "storage", auth=auth))
        self.address = ""

    def __enter__(self) -> "ImageRegistry":
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                self.address = found[1]
                # What it says of each request would fill the pipe.
                self._drain = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)
                return self
        raise AssertionError("docker-registry has ended")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._drain.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def push(self, layout: Path, name: str) -> str:
        """Put an image there as `org/image:tag`; its digest."""
        words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false"]
        words += ["--dest-creds", f"{USER}:{PASSWORD}"] if self._closed else []
        words += [f"oci:{layout}:latest", f"docker://{self.address}/{name}"]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return digest_of(layout)


def parts_are_there() -> bool:
    """Whether this machine has the programs for it."""
    return all(shutil.which(program) for program in ("docker-registry", "skopeo"))


def write_layer(tree: Path, file: Path) -> None:
    """A layer of all that a folder holds, owned by root."""

    def of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = "root"
        return entry

    with (
        file.open("wb") as opened,
        gzip.GzipFile("", "wb", 1, opened, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(tree.iterdir()):
            archive.add(path, arcname=path.name, filter=of_root)


def write_layout(
    folder: Path, layer: Path, *, env: Sequence[str] = (), machine: str = "amd64", note: str = ""
) -> Path:
    """An OCI layout of this one layer; `note` makes another image of it."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    packed = layer.read_bytes()
    unpacked = "sha256:" + hashlib.sha256(gzip.decompress(packed)).hexdigest()
    config = {
        "architecture": machine,
        "os": "linux",
        "config": {"Env": list(env), "Labels": {"note": note}},
        "rootfs": {"type": "layers", "diff_ids": [unpacked]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": blob(json.dumps(config).encode(), _CONFIG),
        "layers": [blob(packed, _LAYER)],
    }
    entry = blob(json.dumps(manifest).encode(), _MANIFEST)
    _write_index(folder, [{**entry, "annotations": {"org.opencontainers.image.ref.name": "latest"}}])
    return folder


def _write_index(folder: Path, entries: Sequence[Mapping[str, object]]) -> None:
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": list(entries)}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def digest_of(layout: Path) -> str:
    """Of the image in a layout."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(entry["digest"])
