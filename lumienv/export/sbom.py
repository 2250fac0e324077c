"""A CycloneDX 1.6 bill of materials in JSON, made by the project's own Python library."""

import uuid

from packaging.pylock import Package

from lumienv import __version__
from lumienv.errors import LumienvError
from lumienv.export import MARK
from lumienv.export.selection import Selection


def cyclonedx(selection: Selection) -> str:
    """Its text: the same for the same lock, so that it may be committed.

    The locked packages and those of the image that they rest on are components; the property
    `lumienv:origin` is `overlay` or `image`. Raises LumienvError where the library is not installed.
    """
    try:
        from cyclonedx.model import HashAlgorithm, HashType, Property
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL
    except ImportError:
        raise LumienvError(
            "a CycloneDX file is made by a library that is not installed here",
            hint="install it beside lumienv: pip install 'lumienv[sbom]'",
        ) from None

    def component(name: str, version: str | None, origin: str, package: Package | None = None) -> Component:
        digest = _sha256(package) if package is not None else None
        address = PackageURL("pypi", None, name, version, _qualifiers(package))
        return Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{origin}:{name}",
            purl=address,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else (),
            properties=[Property(name="lumienv:origin", value=origin)],
        )

    found = {
        str(package.name): component(
            package.name, str(package.version) if package.version else None, "overlay", package
        )
        for package in selection.packages
    }
    provided = {name: component(name, version, "image") for name, version in selection.provided}
    identity = selection.lock.identity
    known = identity.startswith(("sif:", "oci:"))
    image = Component(
        name=selection.image,
        type=ComponentType.PLATFORM if identity.startswith("host:") else ComponentType.CONTAINER,
        bom_ref="image",
        properties=[
            Property(name="lumienv:origin", value="image"),
            *([Property(name="lumienv:identity", value=identity)] if known else ()),
        ],
    )
    root = Component(
        name="environment",
        type=ComponentType.APPLICATION,
        bom_ref="environment",
        properties=[Property(name="lumienv:python", value=selection.python)],
    )
    bom = Bom(components=[image, *found.values(), *provided.values()])
    bom.metadata.component = root
    bom.metadata.tools.components.add(
        Component(name=MARK, version=__version__, type=ComponentType.APPLICATION, bom_ref="lumienv")
    )
    everything = {**provided, **found}
    needed: set[str] = set()
    for package in selection.packages:
        names = {one["name"] for one in package.dependencies or ()} & everything.keys()
        needed |= names
        bom.register_dependency(found[str(package.name)], [everything[name] for name in sorted(names)])
    roots = [one for name, one in everything.items() if name not in needed]
    bom.register_dependency(root, [image, *roots])
    bom.register_dependency(image, provided.values())
    # The format does without one: the library's annotation is narrower than what it writes.
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, " ".join((selection.lock.digest, *sorted(found))))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _sha256(package: Package) -> str | None:
    """In hex; None for a folder or a commit."""
    file = package.wheels[0] if package.wheels else package.sdist or package.archive
    return file.hashes["sha256"].lower() if file is not None else None


def _qualifiers(package: Package | None) -> dict[str, str]:
    """Where it comes from, where that is no index (purl specification, "Known qualifiers")."""
    if package is not None and package.vcs is not None:
        return {"vcs_url": f"git+{package.vcs.url or package.vcs.path}@{package.vcs.commit_id}"}
    if package is not None and package.archive is not None and package.archive.url:
        return {"download_url": package.archive.url}
    return {}
