"""Where requests go: what nginx reads, the marker that decides, and nginx's word that it did."""
