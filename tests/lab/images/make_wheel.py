"""Write the wheel of a stand-in distribution, tagged for the Python that runs this.

The image's own pip then installs it, so that scripts, shebangs and RECORD are what pip
makes of them. Stdlib only: it runs in the image, before anything is installed there.
"""

import argparse
import base64
import hashlib
import re
import sys
import zipfile
from pathlib import Path


def metadata(name: str, version: str, requirements: list[str]) -> str:
    extras = sorted({e for r in requirements for e in re.findall(r"extra *== *['\"]([^'\"]+)", r)})
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += ["Summary: A stand-in for tests", "Requires-Python: >=3.9"]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument("requirement", nargs="*")
    parser.add_argument("--file", metavar="TARGET=SOURCE", action="append", default=[])
    parser.add_argument("--stub", metavar="TARGET", help="a module with only its __version__")
    parser.add_argument("--console-script", metavar="NAME=MODULE:FUNCTION")
    parser.add_argument("--plain-script", metavar="FILE", type=Path, help="not an entry point")
    args = parser.parse_intermixed_args()

    stem = f"{re.sub(r'[-_.]+', '_', args.name)}-{args.version}"
    tag = "cp{0}{1}-cp{0}{1}-linux_x86_64".format(*sys.version_info)
    files: dict[str, bytes] = {}
    for target, _, source in (pair.partition("=") for pair in args.file):
        files[target] = Path(source).read_bytes()
    if args.stub:
        files[args.stub] = f'__version__ = "{args.version}"\n'.encode()
    modules = sorted({target.split("/")[0].removesuffix(".py") for target in files})
    if args.plain_script:
        files[f"{stem}.data/scripts/{args.plain_script.name}"] = args.plain_script.read_bytes()

    info = f"{stem}.dist-info"
    files[f"{info}/METADATA"] = metadata(args.name, args.version, args.requirement).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: make_wheel\nRoot-Is-Purelib: false\nTag: {tag}\n"
    ).encode()
    files[f"{info}/top_level.txt"] = ("\n".join(modules) + "\n").encode()
    if args.console_script:
        name, _, function = args.console_script.partition("=")
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {function}\n".encode()

    record = []
    for target, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.append(f"{target},sha256={digest},{len(data)}")
    record.append(f"{info}/RECORD,,")
    files[f"{info}/RECORD"] = ("\n".join(record) + "\n").encode()
    with zipfile.ZipFile(args.directory / f"{stem}-{tag}.whl", "w") as wheel:
        for target, data in files.items():
            entry = zipfile.ZipInfo(target)
            # pip keeps this bit, and sets it itself only for the scripts that it generates.
            entry.external_attr = (0o100755 if "/scripts/" in target else 0o100644) << 16
            wheel.writestr(entry, data)


main()
