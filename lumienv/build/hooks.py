"""Runs in the container, with the build environment's Python: calls a build backend. Prints JSON.

Standard library and pyproject_hooks only, Python 3.7 or newer, never imported by lumienv: its text is fed to
`python -`, what to do follows in the environment. What backends print goes to standard error.
"""

import json
import os
import subprocess
import sys
import traceback

MARK = "lumienv-build:"


def run(command, cwd=None, extra_environ=None):
    """How pyproject_hooks starts the backend."""
    env = dict(os.environ, **(extra_environ or {}))
    del env["LUMIENV_BUILD"]
    sys.stderr.flush()
    with open(os.devnull) as nothing:
        subprocess.run(command, cwd=cwd, env=env, stdin=nothing, stdout=sys.stderr, check=True)


def main():
    ask = json.loads(os.environ["LUMIENV_BUILD"])
    sys.path.insert(0, ask["hooks"])
    import pyproject_hooks as hooks

    caller = hooks.BuildBackendHookCaller(
        ask["source"], ask["backend"], ask["backend_path"] or None, runner=run
    )
    editable = ask["what"] == "editable"
    try:
        if editable:
            wanted = caller.get_requires_for_build_editable()
        else:
            wanted = caller.get_requires_for_build_wheel()
        if set(wanted) - set(ask["had"]):
            answer = {"requires": sorted(wanted)}
        else:
            answer = build(caller, hooks, ask["what"], ask["out"])
    except hooks.HookMissing as error:
        answer = {"failed": "%s has no %s" % (ask["backend"], error.hook_name)}
    except hooks.BackendUnavailable as error:
        sys.stderr.write(error.traceback + "\n")
        answer = {"failed": "the build backend %s cannot be imported" % ask["backend"]}
    except subprocess.CalledProcessError:
        answer = {"failed": ""}
    except Exception:
        traceback.print_exc()
        answer = {"failed": ""}
    print("\n" + MARK + json.dumps(answer))


def build(caller, hooks, what, out):
    """Prepare metadata, where the backend can, else build the wheel."""
    if what == "metadata":
        try:
            folder = caller.prepare_metadata_for_build_wheel(out, _allow_fallback=False)
            path = os.path.join(out, folder, "METADATA")
            with open(path, encoding="utf-8", errors="replace") as file:
                return {"metadata": file.read()}
        except hooks.HookMissing:
            pass
    if what == "editable":
        return {"wheel": caller.build_editable(out)}
    return {"wheel": caller.build_wheel(out)}


if __name__ == "__main__":
    main()
