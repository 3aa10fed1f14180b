"""What stays the same over a release: asked before it starts, and again after its gate."""
