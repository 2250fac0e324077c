"""environment.yml, as conda and cotainr read it: an environment of its own, with its own Python."""

from lumienv.export.requirements import comments, requirement_lines
from lumienv.export.selection import Selection


def conda_environment(selection: Selection) -> str:
    """Its text. conda cannot see an image's packages, so those that the lock rests on are in it, too.

    There are no hashes in it: those packages have none, and pip takes hashes for all or for none.
    """
    import yaml

    image = [f"{name}=={version}" for name, version in selection.provided]
    packages = [*image, *requirement_lines(selection, hashes=False)]
    dependencies: list[object] = [f"python={selection.python}", "pip"]
    content = {
        "name": "lumienv",
        "channels": ["conda-forge"],
        "dependencies": [*dependencies, {"pip": packages}] if packages else dependencies,
    }
    use = "conda env create -f environment.yml, or cotainr build --conda-env environment.yml"
    head = [
        line.replace("they are not in the list", "they come first in it") for line in comments(selection, use)
    ]
    text: str = yaml.safe_dump(content, sort_keys=False, width=1000)
    return "\n".join([*head, text])


def of_the_image_alone(selection: Selection) -> list[str]:
    """Image packages with a local version (`torch 2.7.1+rocm6.2.4`), which an index seldom offers."""
    return [f"{name} {version}" for name, version in selection.provided if "+" in version]
