"""What is no wheel yet: source distributions, git repositories, archives and local folders.

Everything is fetched and checked on the host. What has to run (build backends) runs in the image, without a
network, in an environment whose packages were resolved and downloaded before.
"""
