"""Points, faces and cameras in; pictures, and where they show every point, out."""
