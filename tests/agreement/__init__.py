"""lumienv and uv, asked the same: real sets of dependencies on the frozen lists of real images."""
