"""lumienv: declare, lock, materialise and run Python environments on top of LUMI's container images."""

__version__ = "0.1.0"
