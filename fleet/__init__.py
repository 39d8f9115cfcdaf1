"""The portal: whom we watch, what is wrong with them, and who is told."""

__version__ = "0.1.0"
