"""Base images: their names, where they are found, what identifies them, and what their Python provides."""
