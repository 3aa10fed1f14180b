"""The gate: a small process that answers nginx for the requests that it holds.

It watches the markers by itself, so that no request is cut off when the daemon ends.
"""
