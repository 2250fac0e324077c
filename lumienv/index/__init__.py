"""Package indexes: project pages, core metadata, and wheels brought into the wheelhouse.

All of lumienv's network is here, and it runs on the host: nothing in a container needs it.
"""
