"""Shows which copy of a module the Python of a script shipped by the image imports."""

import importlib
import sys


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    print(module.__file__, getattr(module, "__version__", ""))
