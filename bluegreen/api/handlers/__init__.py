"""What answers the routes, by what it is about."""
