"""What Prometheus is told: families of figures about the host, its apps and their history."""
