"""The HTTP API of the daemon, served on its control socket."""
