"""Small valid wheels for tests: the same arguments give the same bytes."""

import base64
import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make_wheel(
    directory: Path,
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    modules: Mapping[str, str] | None = None,
    entry_points: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    extra_files: Mapping[str, bytes] | None = None,
    padding: int = 0,
    metadata: str | None = None,
    metadata_first: bool = False,
) -> Path:
    """Write a wheel into `directory` and return its path.

    `modules` maps paths in site-packages to source (default: one module named as the project, with
    `__version__`); `entry_points` maps console scripts to `module:function`; `padding` puts a file of so
    many incompressible bytes in front; `metadata` replaces METADATA; `metadata_first` puts it at the start.
    """
    module = re.sub(r"[-_.]+", "_", name)
    dist_info = f"{module}-{version}.dist-info"
    if modules is None:
        modules = {f"{module.lower()}.py": f"__version__ = {version!r}\n"}
    if metadata is None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Python: {requires_python}"] if requires_python else []
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        metadata = "\n".join(lines) + f"\n\n# {name}\n"
    code = {f"padding/{module}.bin": _noise(padding)} if padding else {}
    code |= {path: text.encode() for path, text in modules.items()}
    code |= extra_files or {}
    pure = str(tag.endswith("none-any")).lower()
    info = {
        f"{dist_info}/METADATA": metadata.encode(),
        f"{dist_info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: lumienv tests\nRoot-Is-Purelib: {pure}\n"
        f"Tag: {tag}\n".encode(),
    }
    if entry_points:
        scripts = "".join(f"{script} = {target}\n" for script, target in entry_points.items())
        info[f"{dist_info}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    files = {**info, **code} if metadata_first else {**code, **info}
    record = "".join(f"{path},{_record_hash(content)},{len(content)}\n" for path, content in files.items())
    files[f"{dist_info}/RECORD"] = f"{record}{dist_info}/RECORD,,\n".encode()
    target = directory / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target


def _record_hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def _noise(size: int) -> bytes:
    """Bytes that no compression makes smaller, the same every time."""
    blocks = (hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]
