"""Code systems, value sets and maps that the network chose."""
