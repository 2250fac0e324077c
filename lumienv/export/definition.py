"""A definition file for `apptainer build` and `singularity build`, from the image as it is.

It needs nothing beside itself: the requirements stand in it with their hashes, and pip or uv of the image
fetches them. That is the way that LUMI documents for its images, under PRoot (LUMI training materials, 205
"Containers"): `Bootstrap: localimage`, `From: {{ sif }}`, pip in `%post`.
"""

from lumienv.errors import LockError
from lumienv.export.requirements import comments, requirement_lines
from lumienv.export.selection import Selection, local_path

_DEFINITION = """\
Bootstrap: localimage
From: {{{{ sif }}}}

%arguments
    sif={image}
    index=default

%post
    # Images that are not entered by themselves name the command that does it in WITH_CONDA.
    if [ -n "${{WITH_CONDA:-}}" ] && [ "$WITH_CONDA" != true ]; then
        PATH=$(bash -c "$WITH_CONDA && printf %s \\"\\$PATH\\"")
    fi
    for found in /opt/venv/bin /opt/miniconda3/envs/*/bin /opt/conda/bin; do
        command -v python >/dev/null || command -v python3 >/dev/null || PATH=$PATH:$found
    done
    python=$(command -v python || command -v python3)
    index="{{{{ index }}}}"
    if [ "$index" != default ]; then
        export PIP_INDEX_URL="$index" UV_DEFAULT_INDEX="$index"
    fi
    work=$(mktemp -d)

    # Is this the image that was locked for?
    cat >"$work/check.py" <<'END'
import sys
from importlib.metadata import PackageNotFoundError, version

if sys.version_info[:2] != ({python}):
    sys.exit("error: this image has Python %d.%d, and the lock is for {dotted}" % sys.version_info[:2])
for line in '''
{provided}
'''.split():
    name, _, wanted = line.partition("==")
    try:
        found = version(name)
    except PackageNotFoundError:
        found = "none"
    if found != wanted:
        sys.exit("error: this image has %s %s, and the lock rests on %s" % (name, found, wanted))
END
    "$python" "$work/check.py"

    cat >"$work/requirements.txt" <<'END'
{requirements}
END
    # The image's own packages stay as they are: nothing is installed but what is listed.
    if "$python" -m pip --version >/dev/null 2>&1; then
        export PIP_ROOT_USER_ACTION=ignore PIP_BREAK_SYSTEM_PACKAGES=1
        "$python" -m pip install --no-cache-dir --no-deps {hashes} -r "$work/requirements.txt"
    elif command -v uv >/dev/null; then
        export UV_LINK_MODE=copy UV_NO_CACHE=1 UV_BREAK_SYSTEM_PACKAGES=1
        uv pip install --python "$python" --no-deps {hashes} -r "$work/requirements.txt"
    else
        echo "error: this image has neither pip nor uv; lumienv sync --mode sif needs none" >&2
        exit 1
    fi
    rm -rf "$work"
"""


def definition(selection: Selection, *, hashes: bool) -> str:
    """Its text. Raises LockError for packages of this machine, which a build elsewhere does not have."""
    local = [package for package in selection.packages if local_path(package) is not None]
    if local:
        raise LockError(
            f"{local[0].name} lies on this machine ({local_path(local[0])}), "
            "and a definition file is built without the project",
            *(f"so does {package.name} ({local_path(package)})" for package in local[1:]),
            hint="lumienv makes the image itself: lumienv sync --mode sif",
        )
    use = "apptainer build --build-arg sif=/path/to/the/image.sif out.sif environment.def"
    text = _DEFINITION.format(
        image=selection.image,
        python=selection.python.replace(".", ", "),
        dotted=selection.python,
        provided="\n".join(f"{name}=={version}" for name, version in selection.provided),
        requirements="\n".join(requirement_lines(selection, hashes=hashes)),
        hashes="--require-hashes" if hashes else "",
    )
    return "\n".join([*comments(selection, use), "", text])
