"""The overlay: the tree of added packages, how it is built, checked, kept and swapped in."""
