"""Who runs the processes: services that are kept running, and jobs that run to their end."""
