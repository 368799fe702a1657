"""The small encoder made by the project itself."""
