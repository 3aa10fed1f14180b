"""What a release needs before anything is touched, each unmet need with its remedy."""
