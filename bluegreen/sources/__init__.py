"""Where releases come from: a version in, a complete tree of files out."""
