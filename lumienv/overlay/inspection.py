"""Runs in the container, with the overlay's Python: what do imports really find? Prints JSON.

Standard library only, Python 3.8 or newer, never imported by lumienv: its text is fed to `python -`, the
questions follow in the environment.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import site

MARK = "lumienv-inspection:"


def inside(path, folder):
    return path is not None and (path == folder or path.startswith(folder + os.sep))


def module_files(distribution):
    """The importable files of a distribution, relative to its site directory."""
    for file in distribution.files or ():
        parts = file.parts
        if parts[0] in ("..", "/") or parts[0].endswith((".dist-info", ".data")):
            continue
        if file.suffix in (".py", ".so"):
            yield str(file)


def top_levels(files):
    """Importable names among them; `_x.py` and `x.cpython-312.so` are modules too."""
    names = {path.split(os.sep)[0].split(".")[0] for path in files}
    return sorted(name for name in names if name.isidentifier())


def found_at(module):
    """The file that importing `module` would read; a namespace package has none, only folders."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.origin not in (None, "namespace"):
        return spec.origin
    return (list(spec.submodule_search_locations or []) or [None])[0]


def clashes(files, image_sites):
    """Module files that the image has too: importing one would hide the other."""
    return [path for path in files if any(os.path.exists(os.path.join(s, path)) for s in image_sites)]


def raised_in(error, prefix):
    """The distribution of the overlay in which an import gave up: that of the last frame below it."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(os.path.realpath(trace.tb_frame.f_code.co_filename))
        trace = trace.tb_next
    for place in reversed(places):
        parts = place[len(prefix) :].split("site-packages" + os.sep) if inside(place, prefix) else []
        if len(parts) > 1:
            module = parts[-1].split(os.sep)[0].split(".")[0]
            owners = importlib.metadata.packages_distributions().get(module, [])
            return owners[0] if owners else ""
    return ""


def try_imports(modules, prefix):
    """Import each module in a child process, one after the other: a crash must not end the inspection."""
    failed = {}
    for module in modules:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            try:
                importlib.import_module(module)
                message = ""
            except BaseException as error:
                message = "%s\n%s: %s" % (raised_in(error, prefix), type(error).__name__, error)
            os.write(writing, message.encode("utf-8", "replace")[:2000])
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            message = pipe.read().decode("utf-8", "replace")
        status = os.waitpid(child, 0)[1]
        if status != 0:
            message = "\nimporting it ends Python with signal %d" % (status & 0x7F)
        if message:
            failed[module] = message
    return failed


def main():
    ask = json.loads(os.environ["LUMIENV_INSPECTION"])
    prefix = os.path.realpath(ask["prefix"])
    importlib.invalidate_caches()
    overlay, image, direct = {}, {}, []
    for wanted in ask["overlay"]:
        name = wanted["name"]
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            overlay[name] = {"version": None}
            continue
        files = list(module_files(distribution))
        modules = top_levels(files)
        overlay[name] = {
            "version": distribution.version,
            "inside": inside(os.path.realpath(str(distribution.locate_file(""))), prefix),
            "clashes": clashes(files, ask["image_sites"]),
        }
        if wanted["direct"]:
            direct += [(name, module) for module in modules if not module.startswith("_")]
    for wanted in ask["image"]:
        try:
            version = importlib.metadata.version(wanted["name"])
        except importlib.metadata.PackageNotFoundError:
            version = None
        places = {module: found_at(module) for module in wanted["modules"]}
        image[wanted["name"]] = {
            "version": version,
            "shadowed": [m for m, place in places.items() if inside(os.path.realpath(place or ""), prefix)],
            "gone": [m for m, place in places.items() if place is None],
        }
    failed = try_imports([module for _, module in direct], prefix)
    answer = {
        "user_site": bool(site.ENABLE_USER_SITE),
        "overlay": overlay,
        "image": image,
        "failed": [
            [name, module, failed[module].partition("\n")[2], failed[module].partition("\n")[0]]
            for name, module in direct
            if module in failed
        ],
    }
    print("\n" + MARK + json.dumps(answer))


if __name__ == "__main__":
    main()
