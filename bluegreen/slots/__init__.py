"""An app's trees: laid out, linked to what is shared, built, stamped as good, reclaimed."""
