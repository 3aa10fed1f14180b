"""TOML files become validated settings; an error names file, line, key, wrong and right."""
