"""SingularityCE and Apptainer: the same command line, two prefixes for environment variables.

Values reach the container through `APPTAINERENV_X` / `SINGULARITYENV_X`, never through `--env` (which
splits at commas and eats quotes) and with evaluation switched off: both runtimes otherwise hand each value
to a shell, so that `$(…)` in it would run. Tried with Apptainer 1.4.5; SingularityCE 4.1.3 has the same
code (`internal/pkg/util/fs/files/action_scripts.go`).
"""

import os
from collections.abc import Mapping, Sequence

from lumienv.errors import ContainerError
from lumienv.paths import Path
from lumienv.runtime import Bind, Command, Surroundings
from lumienv.values import dataclass

APPTAINER = "apptainer"
SINGULARITY = "singularity"

# Set in the runtime's own environment these change what is mounted or seen; a closed command gets none of
# them. Where it puts its temporary files and its cache stays the user's decision.
_PREFIXES = ("SINGULARITY", "APPTAINER")
CACHE_VARIABLES = tuple(f"{prefix}_CACHEDIR" for prefix in _PREFIXES)
TEMPORARY_VARIABLES = tuple(f"{prefix}_TMPDIR" for prefix in _PREFIXES)
_KEPT_IN_CLOSED = {*CACHE_VARIABLES, *TEMPORARY_VARIABLES}
# What a command that fetches from a registry may know besides: the way there, whom to trust, and who asks,
# which these variables say to whichever registry it is.
LOGIN_VARIABLES = tuple(
    f"{prefix}DOCKER_{name}"
    for prefix in ("APPTAINER_", "SINGULARITY_", "")
    for name in ("USERNAME", "PASSWORD")
)
_OF_NETWORK = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "DOCKER_CONFIG"),
}
LOGIN = (
    "export SINGULARITY_DOCKER_USERNAME=NAME, and SINGULARITY_DOCKER_PASSWORD,\n"
    "or log in as the runtime's documentation says (singularity remote login, apptainer registry login)"
)
"""What a registry that refuses is answered with: the end of a hint."""

# What a closed command may know of the host: what the runtime itself needs to start.
_HOST_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TERM", "TMPDIR", "XDG_RUNTIME_DIR")


@dataclass(frozen=True)
class Singularity:
    """One of the two runtimes, by the path of its program."""

    program: str
    flavour: str

    def closed(
        self,
        base: str,
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        scratch: Path | None = None,
        network: bool = False,
    ) -> Command:
        kept = {k: v for k, v in inherited.items() if k in _HOST_VARIABLES or k in _KEPT_IN_CLOSED}
        return Command(
            (
                *(self.program, "--quiet", "exec", "--containall", "--no-home", "--pwd", "/"),
                *(() if network else ("--net", "--network", "none")),
                *(("--workdir", str(scratch)) if scratch is not None else ()),
                *self.bind_words(surroundings.binds),
                *(base, *command),
            ),
            kept | self._container_env(surroundings),
            unset=tuple(name for name in inherited if name not in kept),
        )

    def launch(
        self,
        base: str,
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        entry: str = "exec",
    ) -> Command:
        env = self._container_env(surroundings)
        # Quiet: each of a hundred tasks would tell the same things about the node; errors are still shown.
        return Command(
            (self.program, "--quiet", entry, *self.bind_words(surroundings.binds), base, *command),
            env,
            unset=tuple(name for name in self._rivals(env, inherited) if name not in env),
        )

    def tool(
        self,
        words: Sequence[str],
        *,
        inherited: Mapping[str, str],
        scratch: Path,
        network: bool = False,
        login: bool = True,
    ) -> Command:
        """One of the runtime's own commands (`build`, `sif add`), or a plain `exec`: as in a bare shell.

        Nothing that a module of binds has set reaches it: a build, too, would bind those paths, and fail
        where one is missing. Its temporary files go to `scratch`. With `network` it gets the user's settings
        of proxies, certificates and, with `login`, the variables with a registry's password, too.
        """
        kept = {
            k: v
            for k, v in inherited.items()
            if k in _HOST_VARIABLES
            or k == "LD_LIBRARY_PATH"
            or k in _KEPT_IN_CLOSED
            or (network and k in _OF_NETWORK)
            or (network and login and k in LOGIN_VARIABLES)
        }
        places = {f"{prefix}_TMPDIR": str(scratch) for prefix in _PREFIXES} | {"TMPDIR": str(scratch)}
        return Command(
            (self.program, "--quiet", *words),
            kept | places,
            unset=tuple(name for name in inherited if name not in kept),
        )

    def _container_env(self, surroundings: Surroundings) -> dict[str, str]:
        own = self.flavour.upper()
        env = {f"{own}ENV_{name}": value for name, value in surroundings.env.items()}
        path = surroundings.env.get("PATH")
        if path is not None:
            # A whole PATH makes the runtimes ignore PREPEND_PATH; the overlay has to stay in front of it.
            env[f"{own}ENV_PATH"] = ":".join((*surroundings.prepend_path, path))
        elif surroundings.prepend_path:
            env[f"{own}ENV_PREPEND_PATH"] = ":".join(surroundings.prepend_path)
        return env | {f"{own}_NO_EVAL": "1"}

    def _rivals(self, env: Mapping[str, str], inherited: Mapping[str, str]) -> list[str]:
        """Names under which a host may hold other values for the same container variables, set here or not.

        A variable of the other runtime's prefix would be warned about, its value in the warning, and a whole
        PATH makes PREPEND_PATH ignored. SingularityCE does not read Apptainer's.
        """
        names = {name.partition("ENV_")[2] for name in env if "ENV_" in name}
        names |= {"PATH", "APPEND_PATH", "PREPEND_PATH"}
        return sorted(
            f"{prefix}ENV_{name}"
            for prefix in _PREFIXES
            for name in names
            if self.flavour == APPTAINER or prefix == "SINGULARITY" or f"{prefix}ENV_{name}" in inherited
        )

    def bind_words(self, binds: Sequence[Bind]) -> list[str]:
        words: list[str] = []
        plain = False
        for bind in binds:
            # What is seen as it is follows the one before in the same word, as people write it.
            follows, plain = plain, _is_plain(bind)
            if plain:
                words[-1:] = (
                    [f"{words[-1]},{bind.source}"] if follows else [*words[-1:], "--bind", bind.source]
                )
                continue
            options = [] if bind.writable else ["ro"]
            if bind.image_source is not None:
                options.append(f"image-src={bind.image_source}")
            # A colon or comma in a path cannot be escaped in --bind; --mount takes CSV quoting.
            if not _is_simple(bind.source + bind.target):
                fields = [f"src={bind.source}", f"dst={bind.target}", *options]
                words += ["--mount", ",".join(_csv(item) for item in ["type=bind", *fields])]
            else:
                words += ["--bind", ":".join(filter(None, [bind.source, bind.target, ",".join(options)]))]
        return words


def _is_plain(bind: Bind) -> bool:
    """Whether its path alone says it."""
    seen_as_it_is = bind.source == bind.target and bind.writable and bind.image_source is None
    return seen_as_it_is and _is_simple(bind.source)


def _is_simple(path: str) -> bool:
    return not any(mark in path for mark in ':,"\\')


def _csv(item: str) -> str:
    return '"' + item.replace('"', '""') + '"' if any(mark in item for mark in ',"\n') else item


def find(environ: Mapping[str, str], known: str | None = None) -> Singularity:
    """The runtime on this machine: `LUMIENV_RUNTIME`, else `singularity`, else `apptainer` on PATH.

    `known` is the flavour that was found when an environment was made: it saves asking the program.
    Raises ContainerError when there is none.
    """
    wanted = environ.get("LUMIENV_RUNTIME")
    for name in (wanted,) if wanted else (SINGULARITY, APPTAINER):
        program = _program(name, environ)
        if program:
            return Singularity(program, flavour_of(program, known))
    raise ContainerError(
        f"cannot start {wanted}: LUMIENV_RUNTIME names no program"
        if wanted
        else "no container runtime was found: neither singularity nor apptainer is on PATH",
        hint="on LUMI, singularity is on every node; elsewhere install Apptainer, or use a Python of this\n"
        'machine as the base: [image] host = "python3"',
    )


def _program(name: str, environ: Mapping[str, str]) -> str | None:
    """What `shutil.which` finds, which takes longer to import than all of this."""
    folders = [""] if "/" in name else environ.get("PATH", os.defpath).split(":")
    for path in (os.path.join(folder, name) for folder in folders):  # noqa: PTH118
        if os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113
            return path
    return None


def flavour_of(program: str, known: str | None = None) -> str:
    """Which of the two a program is. Costs no process where a link's target tells, or it is known."""
    real = Path(os.path.realpath(program)).name
    if real == APPTAINER:
        return APPTAINER
    if known in (APPTAINER, SINGULARITY):
        return known
    from lumienv.runtime.process import capture

    return APPTAINER if "apptainer" in capture([program, "--version"]).stdout else SINGULARITY
