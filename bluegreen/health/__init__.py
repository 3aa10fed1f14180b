"""Whether a slot is well: probes, the gate before traffic, the watch after it."""
