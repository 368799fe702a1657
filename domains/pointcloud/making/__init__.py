"""Clean shapes and a seed in; the same with labelled defects, as clouds, meshes and whole sets, out."""
