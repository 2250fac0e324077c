"""Files of other tools, each read by what it is: pip's requirements files, conda's `environment.yml`."""

from pathlib import Path

from lumienv.errors import ManifestError
from lumienv.project.conda_files import read_environment
from lumienv.project.imported import Imported
from lumienv.project.requirement_files import read_requirements

_OTHERS = (".toml", ".cfg", ".py", ".lock", ".json", ".whl", ".sif")


def read_file(path: Path, folder: Path) -> Imported:
    """What a file asks for; paths in it are seen from the project, `folder`. Raises ManifestError."""
    if path.suffix in (".yml", ".yaml"):
        return read_environment(path, folder)
    if path.suffix in _OTHERS:
        raise ManifestError(
            f"{path} is no requirements file and no environment.yml",
            hint="a project of your own is added with what it needs: lumienv add --editable FOLDER",
        )
    return read_requirements(path, folder)
