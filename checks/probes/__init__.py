"""The only I/O of the library besides dial; never sees a rule."""
