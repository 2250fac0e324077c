"""A program that says what a command finds in an environment, to be compared between carriers."""

# Prefix, path, site directories, the scripts with their content, and pyvenv.cfg: as JSON.
LOOK = """
import json, os, sys
root = sys.prefix
scripts = sorted(
    [name, os.readlink(path) if os.path.islink(path) else open(path).read(), os.stat(path).st_mode & 0o111]
    for name in os.listdir(root + "/bin") for path in [root + "/bin/" + name]
)
sites = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
settings = open(root + "/pyvenv.cfg").read()
print(json.dumps([root, sys.path, sites, scripts, settings]))
"""
