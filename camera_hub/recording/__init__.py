"""Recording of cameras: packets into files that stay readable, whatever is killed."""
