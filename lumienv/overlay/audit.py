"""Runs in the container, with the image's Python: are the tree's files those that its records tell of?

Standard library only, Python 3.8 or newer, never imported by lumienv: its text is fed to `python -I -S -`
behind a line that sets ASK. The image's Python and no `site`, so that nothing of the tree runs before it is
looked at. Prints JSON.
"""

import csv
import glob
import hashlib
import importlib.util
import json
import marshal
import os
import subprocess
import sys
import types
import warnings
from base64 import urlsafe_b64encode

MARK = "lumienv-audit:"

# Filled in by whoever feeds this text.
ASK = globals().get("ASK", "{}")

# What decides how code runs; not where it was compiled, nor its lines.
_OF_CODE = (
    "co_name",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_code",
    "co_exceptiontable",
    "co_consts",
)


def files_below(root):
    """All files and links, relative to `root`; a link to a folder is not followed."""
    for folder, names, files in os.walk(root):
        for name in files + [name for name in names if os.path.islink(os.path.join(folder, name))]:
            yield os.path.relpath(os.path.join(folder, name), root)


def site_folders(root):
    """The site directory of the tree, relative to it."""
    return [
        os.path.relpath(path, root) for path in glob.glob(glob.escape(root) + "/lib/python3*/site-packages")
    ]


def distributions(root):
    """(name, version, RECORD relative to the tree) of each distribution."""
    for site in site_folders(root):
        for path in sorted(glob.glob(glob.escape(os.path.join(root, site)) + "/*.dist-info")):
            said = {}
            try:
                with open(os.path.join(path, "METADATA"), encoding="utf-8", errors="replace") as file:
                    for line in file:
                        key, colon, value = line.partition(":")
                        if not colon:
                            break
                        said.setdefault(key.lower(), value.strip())
            except OSError:
                pass
            stem = os.path.basename(path)[: -len(".dist-info")].split("-")
            name = said.get("name", stem[0])
            yield name, said.get("version", stem[-1]), os.path.relpath(os.path.join(path, "RECORD"), root)


def recorded(root, record):
    """(path relative to the tree, hash, size) of each line in a RECORD; raises OSError, ValueError."""
    site = os.path.dirname(os.path.dirname(record))
    with open(os.path.join(root, record), encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if row:
                path, digest, size = (row + ["", ""])[:3]
                yield os.path.normpath(os.path.join(site, path)), digest, size


def digest_of(path, kind="sha256"):
    """As RECORD writes it: `sha256=` and unpadded base64."""
    found = hashlib.new(kind)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return "%s=%s" % (kind, urlsafe_b64encode(found.digest()).rstrip(b"=").decode())


def link_or_digest(path):
    return "link:" + os.readlink(path) if os.path.islink(path) else digest_of(path)


def is_as_recorded(path, alternatives):
    """Whether a file is what one of the RECORDs that name it says: of two that bring it, one wrote last."""
    if os.path.islink(path):
        return False
    size = str(os.stat(path).st_size)
    found = {}
    for digest, wanted in alternatives:
        kind = digest.partition("=")[0]
        if wanted in ("", size):
            if kind not in found:
                found[kind] = digest_of(path, kind)
            if found[kind] == digest:
                return True
    return False


def alike(one, other):
    """Whether two constants of compiled code, or codes, do the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, types.CodeType):
        return all(alike(getattr(one, name, None), getattr(other, name, None)) for name in _OF_CODE)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return repr(one) == repr(other)


def written_by_use(paths, present):
    """path → source, of bytecode that use leaves in a tree that can be written to: without a container.

    `python -O` leaves some, and pytest of modules whose assertions it explains; what these should be only
    pytest could tell.
    """
    tag = sys.implementation.cache_tag
    found = {}
    for path in paths:
        folder, name = os.path.split(path)
        stem, _, rest = name.partition(".")
        left = rest.endswith(".pyc") and rest.startswith((tag + ".opt-", tag + "-pytest-"))
        if left and os.path.basename(folder) == "__pycache__":
            source = os.path.join(os.path.dirname(folder), stem + ".py")
            if source in present:
                found[path] = source
    return found


def optimization(path):
    """The level of `-O` that bytecode was made at, as its name says: `.opt-1.pyc`; 2 is the highest."""
    _, said, level = os.path.splitext(path)[0].rpartition(".opt-")
    return min(int(level), 2) if said and level.isdigit() else 0


def is_compiled_from(path, source):
    """Whether bytecode is what Python makes of its source: unchecked, it is what runs."""
    with open(path, "rb") as file:
        data = file.read()
    with open(source, "rb") as file:
        text = file.read()
    if data[:4] != importlib.util.MAGIC_NUMBER:
        return False
    if data[4] & 1 and data[8:16] != importlib.util.source_hash(text):
        return False
    try:
        code = marshal.loads(data[16:])
        made = compile(text, code.co_filename, "exec", dont_inherit=True, optimize=optimization(path))
    except (EOFError, ValueError, TypeError, AttributeError, SyntaxError):
        return False
    return code == made or alike(code, made)


def look(root, task):
    """What is wrong with one file; empty when nothing is."""
    path, kind, expected = task
    place = os.path.join(root, path)
    try:
        if kind == "recorded":
            return "" if is_as_recorded(place, expected) else "changed"
        if kind == "own":
            return "" if link_or_digest(place) == expected else "changed"
        return "" if is_compiled_from(place, os.path.join(root, expected)) else "bytecode"
    except (OSError, ValueError) as error:
        return "unreadable: %s" % (getattr(error, "strerror", None) or error)


def start(root, tasks):
    """A child that looks at these files; a damaged file may crash Python. Returns its pid, its answers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        warnings.simplefilter("ignore")
        with os.fdopen(writing, "w") as pipe:
            for number, task in enumerate(tasks):
                pipe.write(json.dumps([number, look(root, task)]) + "\n")
                pipe.flush()
        os._exit(0)
    os.close(writing)
    return child, os.fdopen(reading)


def look_at_all(root, tasks, processors):
    """path → what is wrong with it."""
    wrong = {}
    shares = [share for share in (tasks[n::processors] for n in range(processors)) if share]
    while shares:
        started = [(share, *start(root, share)) for share in shares]
        shares = []
        for share, child, pipe in started:
            done = 0
            with pipe:
                for line in pipe:
                    number, problem = json.loads(line)
                    done = number + 1
                    if problem:
                        wrong[share[number][0]] = problem
            os.waitpid(child, 0)
            if done < len(share):
                wrong[share[done][0]] = "unreadable: looking at it ends Python"
                shares += [share[done + 1 :]] if share[done + 1 :] else []
    return wrong


def audit(root, own, processors):
    """The distributions, the number of files, and [path, what is wrong, distribution] where it is."""
    present = set(files_below(root))
    packages, owners, wanted = [], {}, {}
    for name, version, record in distributions(root):
        packages.append([name, version])
        owners[record] = name
        try:
            lines = list(recorded(root, record))
        except (OSError, ValueError, csv.Error):
            continue  # gone, or changed: both are found below, as RECORDs are among the tree's own
        for path, digest, size in lines:
            owners.setdefault(path, name)
            if digest:
                wanted.setdefault(path, []).append((digest, size))
    # Some wheels bring bytecode: that of a source has been made anew.
    cached = {}
    for path in [*wanted, *own]:
        if path.endswith(".py"):
            cached[os.path.normpath(importlib.util.cache_from_source(path))] = path
    work = [(path, "own", expected) for path, expected in own.items()]
    work += [(path, "recorded", wanted[path]) for path in wanted if path not in own and path not in cached]
    problems = [(path, "missing") for path, _, _ in work if path not in present]
    work = [task for task in work if task[0] in present]
    for path in cached.keys() & present - own.keys():
        if cached[path] in present:
            work.append((path, "bytecode", cached[path]))
            owners.setdefault(path, owners.get(cached[path], ""))
    by_use = written_by_use(present - own.keys() - wanted.keys(), present)
    for path, source in by_use.items():
        if optimization(path):
            work.append((path, "bytecode", source))
            owners.setdefault(path, owners.get(source, ""))
    known = {path for path, _, _ in work} | by_use.keys()
    problems += [(path, "unknown") for path in present - known]
    work.sort(key=lambda task: -os.lstat(os.path.join(root, task[0])).st_size)
    problems += look_at_all(root, work, processors).items()
    return {
        "packages": packages,
        "files": len(present),
        "problems": [[path, what, owners.get(path, "")] for path, what in sorted(problems)],
    }


def main():
    ask = json.loads(ASK)
    root = os.path.realpath(ask["prefix"])
    answer = audit(root, ask["own"], max(1, ask["processors"]))
    print("\n" + MARK + json.dumps(answer), flush=True)
    if ask["inspection"] and not answer["problems"]:
        subprocess.run([ask["prefix"] + "/bin/python", "-"], input=ask["inspection"].encode(), check=False)


if __name__ == "__main__":
    sys.setrecursionlimit(10000)
    main()
