"""What a model wrote, and what it should have written -> scores. Importing this loads no torch."""
