"""Runs inside the image, with the image's Python: prints what that Python is and provides, as JSON.

Standard library only, Python 3.6 or newer, never imported by lumienv: its text is fed to `python -`.
It reads metadata files itself, as `importlib.metadata` came with Python 3.8 and `pip list` knows no
requirements. Everything that needs judgement (tags, what activation changed) is worked out on the host.
"""

import glob
import json
import os
import platform
import re
import site
import subprocess
import sys
import sysconfig

MARK = "lumienv-probe:"
MUSL_LOADERS = "/lib/ld-musl-*.so.1"


def python_facts():
    return {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "site_packages": site_directories(),
        "bin": os.path.dirname(sys.executable),
    }


def site_directories():
    """Where packages are found, in order: PYTHONPATH's entries, then the site directories.

    What .pth files add behind them is left out: addsitedir() will add it again.
    """
    wanted = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    wanted += site.getsitepackages() if hasattr(site, "getsitepackages") else []
    if not wanted:
        wanted = [sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]
    found = []
    for entry in wanted:
        entry = os.path.normpath(entry)
        if os.path.isdir(entry) and entry not in found:
            found.append(entry)
    return found


def markers():
    """The environment of PEP 508, every variable."""
    info = sys.implementation.version
    implementation_version = "{0.major}.{0.minor}.{0.micro}".format(info)
    if info.releaselevel != "final":
        implementation_version += info.releaselevel[0] + str(info.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation_version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def abi_facts():
    """What wheel tags are made of: the C library and its version, and the build's flavour."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):
        name, version = "", ""
    return {
        "libc": [name, version] if name else musl(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
    }


def musl():
    """Name and version of an image's musl: its loader tells them whoever starts it (as packaging asks it)."""
    for loader in sorted(glob.glob(MUSL_LOADERS)):
        try:
            started = subprocess.Popen([loader], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError:
            continue
        said = started.communicate()[1].decode("utf-8", "replace")
        found = re.match(r"musl.*\nVersion (\d+\.\d+)", said)
        if found:
            return ["musl", found.group(1)]
    return ["", ""]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def headers(text):
    """The header fields of METADATA or PKG-INFO: name (lower case) -> list of values."""
    fields = {}
    last = None
    for line in text.split("\n"):
        if not line.strip():
            break
        if line[0] in " \t" and last is not None:
            last[-1] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        if colon:
            last = fields.setdefault(key.strip().lower(), [])
            last.append(value.strip())
    return fields


def egg_requirements(text):
    """requires.txt of an egg-info, as PEP 508 lines (sections are `[extra:marker]`)."""
    lines, section = [], ""
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            extra, _, marker = section.partition(":")
            parts = ["({})".format(marker)] if marker else []
            if extra:
                parts.append('extra == "{}"'.format(extra))
            blank = " " if " @ " in line else ""
            lines.append(line + (blank + "; " + " and ".join(parts) if parts else ""))
    return lines


def owned_modules(info):
    """Top-level modules, from RECORD (or the egg's own lists)."""
    names = set()
    record = read(os.path.join(info, "RECORD"))
    if record:
        for line in record.split("\n"):
            path = line.split(",", 1)[0].strip('"')
            if path.startswith(("..", "/")) or not path.endswith((".py", ".so", ".pyd")):
                continue
            head, slash, _ = path.partition("/")
            names.add(head if slash else re.split(r"\.", head)[0])
    else:
        for line in read(os.path.join(info, "top_level.txt")).split("\n"):
            names.add(line.strip())
    return sorted(name for name in names if re.match(r"^[^\W\d]\w*$", name) and name != "__pycache__")


def entry_points(text):
    """console and GUI scripts: name -> `module:function`"""
    scripts, section = {}, ""
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section in ("console_scripts", "gui_scripts") and "=" in line and not line.startswith("#"):
            name, _, target = line.partition("=")
            scripts[name.strip()] = target.split("[")[0].strip()
    return scripts


def distributions():
    """Every distribution on sys.path; of two with one name, the first is the one that imports see."""
    packages, scripts, seen = [], {}, {}
    for location in sys.path:
        try:
            entries = sorted(os.listdir(location))
        except OSError:
            continue
        for entry in entries:
            info = os.path.join(location, entry)
            requires = None
            if entry.endswith(".dist-info"):
                fields = headers(read(os.path.join(info, "METADATA")))
            elif entry.endswith(".egg-info") and os.path.isdir(info):
                fields = headers(read(os.path.join(info, "PKG-INFO")))
                if "requires-dist" not in fields:
                    requires = egg_requirements(read(os.path.join(info, "requires.txt")))
            elif entry.endswith(".egg-info"):
                fields = headers(read(info))
            else:
                continue
            name, version = fields.get("name", [""])[0], fields.get("version", [""])[0]
            if not name or not version:
                continue
            key = re.sub(r"[-_.]+", "-", name).lower()
            if key in seen:
                if seen[key]["location"] != location or seen[key]["version"] != version:
                    seen[key].setdefault("shadows", []).append({"version": version, "location": location})
                continue
            package = {
                "name": name,
                "version": version,
                "requires": fields.get("requires-dist", []) if requires is None else requires,
                "extras": fields.get("provides-extra", []),
                "modules": owned_modules(info),
                "location": location,
                "installer": read(os.path.join(info, "INSTALLER")).strip(),
            }
            seen[key] = package
            packages.append(package)
            for script, target in entry_points(read(os.path.join(info, "entry_points.txt"))).items():
                scripts.setdefault(script, target)
    return packages, scripts


def script_files(known):
    """Files beside the interpreter whose first line names it, entry points aside."""
    folder = os.path.dirname(sys.executable)
    pythons = {os.path.join(folder, name) for name in ("python", "python3", os.path.basename(sys.executable))}
    pythons.add(os.path.join(folder, "python{}.{}".format(*sys.version_info[:2])))
    found = []
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
        path = os.path.join(folder, name)
        if name in known or not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                head = file.read(512).split(b"\n")
        except OSError:
            continue
        first = head[0].decode("utf-8", "replace")
        if not first.startswith("#!"):
            continue
        words = first[2:].split()
        # Long interpreter paths are wrapped: `#!/bin/sh` and `'''exec' /…/python "$0" "$@"` below it.
        if len(head) > 1 and head[1].startswith(b"'''exec' "):
            words = head[1].decode("utf-8", "replace")[9:].split()
        if words and words[0].strip("\"'") in pythons:
            found.append({"name": name, "file": path})
    return found


def overlays():
    """The overlay trees that the image has inside: one made by lumienv may be the base of another project."""
    try:
        names = os.listdir("/opt")
    except OSError:
        return []
    return sorted("/opt/" + name for name in names if re.match(r"^lumienv(-[0-9]+)?$", name))


def compilers():
    """The newest versioned gcc/g++ pair on PATH, unless the image chooses compilers itself."""
    if os.environ.get("CC") or os.environ.get("CXX"):
        return {key: os.environ[var] for key, var in (("cc", "CC"), ("cxx", "CXX")) if os.environ.get(var)}
    names = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        try:
            names.update(os.listdir(folder))
        except OSError:
            pass
    pairs = sorted(int(n[4:]) for n in names if re.match(r"^gcc-\d+$", n) and "g++-" + n[4:] in names)
    if pairs:
        return {"cc": "gcc-{}".format(pairs[-1]), "cxx": "g++-{}".format(pairs[-1])}
    plain = {"cc": "gcc", "cxx": "g++"}
    return {key: name for key, name in plain.items() if name in names}


def environment_before():
    """The variables before activation: those that the waiting parent shell was started with."""
    parent = os.environ.pop("LUMIENV_PROBE_PARENT", "")
    try:
        with open("/proc/{}/environ".format(parent), "rb") as file:
            pairs = file.read().decode("utf-8", "surrogateescape").split("\0")
    except (OSError, ValueError):
        return None
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def main():
    before = environment_before()
    kind = os.environ.pop("LUMIENV_PROBE_KIND", "none")
    command = os.environ.pop("LUMIENV_PROBE_COMMAND", "")
    after = dict(os.environ)
    packages, entries = distributions()
    scripts = [{"name": name, "entry": entry} for name, entry in sorted(entries.items())]
    facts = {
        "python": python_facts(),
        "markers": markers(),
        "abi": abi_facts(),
        "packages": packages,
        "scripts": scripts + script_files(set(entries)),
        "overlays": overlays(),
        "compilers": compilers(),
        "activation": {
            "kind": kind,
            "command": command,
            "before": after if before is None else before,
            "after": after,
        },
    }
    print("\n" + MARK + json.dumps(facts))


if __name__ == "__main__":
    main()
