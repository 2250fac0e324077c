"""What a registry of images says of one: what a tag stands for now, how large it is, for which machine.

The image itself is fetched by the runtime.
"""
